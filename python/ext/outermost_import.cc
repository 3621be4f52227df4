#include "python/ext/outermost_import.h"

#include "core/elf/read_ahead.h"
#include "python/ext/bytecode.h"

namespace intact {
namespace {

constexpr long kPausedThreshold = 100'000;  // container objects, net, before the youngest generation is collected

// gc.get_threshold() with another first number; null if there is nothing to change or on failure.
PyRef with_first(const PyRef& thresholds, PyObject* first) {
  const PyRef rest = PyRef::steal(PySequence_GetSlice(thresholds.get(), 1, PyTuple_GET_SIZE(thresholds.get())));
  const PyRef head = PyRef::steal(PyTuple_Pack(1, first));
  return rest && head ? PyRef::steal(PySequence_Concat(head.get(), rest.get())) : PyRef();
}

long first_of(const PyRef& thresholds) {
  return thresholds && PyTuple_Check(thresholds.get()) && PyTuple_GET_SIZE(thresholds.get()) > 0
             ? PyLong_AsLong(PyTuple_GET_ITEM(thresholds.get(), 0))
             : -1;
}

// Moves every object that the collector tracks to the oldest generation: freezing takes them out of all generations,
// unfreezing puts them into that one. Both only splice lists. Not where the program has frozen objects of its own.
void promote(ModuleState& state) {
  const PyRef frozen = py_call(state.gc_get_freeze_count.get());
  if (frozen && PyLong_AsLong(frozen.get()) == 0 && py_call(state.gc_freeze.get())) py_call(state.gc_unfreeze.get());
}

}  // namespace

OutermostImport::OutermostImport(ModuleState& state) : state_(state) {
  if (state_.import_depth.fetch_add(1) > 0) return;
  PyRef before = py_call(state_.gc_get_threshold.get());
  const long first = first_of(before);
  const PyRef paused = PyRef::steal(PyLong_FromLong(kPausedThreshold));
  if (first > 0 && first < kPausedThreshold && paused) {  // 0: the program has switched it off
    const PyRef thresholds = with_first(before, paused.get());
    if (thresholds && PyRef::steal(PyObject_CallObject(state_.gc_set_threshold.get(), thresholds.get()))) {
      state_.thresholds_before = std::move(before);
    }
  }
  PyErr_Clear();
}

OutermostImport::~OutermostImport() {
  if (state_.import_depth.fetch_sub(1) > 1) return;
  ReadAhead::instance().drop();
  free_scratch(state_);
  const PyRef before = std::exchange(state_.thresholds_before, PyRef());
  if (!before) return;
  PyObject *type, *value, *traceback;  // an import that failed ends here too
  PyErr_Fetch(&type, &value, &traceback);
  const PyRef now = py_call(state_.gc_get_threshold.get());
  if (first_of(now) == kPausedThreshold) {
    const PyRef counts = py_call(state_.gc_get_count.get());
    if (first_of(counts) > first_of(before)) promote(state_);  // else the collector would start at once
    const PyRef restored = with_first(now, PyTuple_GET_ITEM(before.get(), 0));
    if (restored) PyRef::steal(PyObject_CallObject(state_.gc_set_threshold.get(), restored.get()));
  }
  PyErr_Clear();
  PyErr_Restore(type, value, traceback);
}

}  // namespace intact
