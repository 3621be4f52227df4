#include "python/ext/outermost_import.h"

#include "core/elf/read_ahead.h"
#include "python/ext/bytecode.h"

namespace intact {
namespace {

// Container objects, net, before the youngest generation is collected. A number that no program chooses.
constexpr long kPausedThreshold = 100'003;

// What gc.get_threshold() is in the pause, if it was this before; null on failure.
PyRef paused(const PyRef& before) {
  const PyRef rest = PyRef::steal(PySequence_GetSlice(before.get(), 1, PyTuple_GET_SIZE(before.get())));
  const PyRef head = PyRef::steal(Py_BuildValue("(l)", kPausedThreshold));
  return rest && head ? PyRef::steal(PySequence_Concat(head.get(), rest.get())) : PyRef();
}

long first_of(const PyRef& thresholds) {
  return thresholds && PyTuple_Check(thresholds.get()) && PyTuple_GET_SIZE(thresholds.get()) > 0
             ? PyLong_AsLong(PyTuple_GET_ITEM(thresholds.get(), 0))
             : -1;
}

// Moves every object that the collector tracks to the oldest generation: freezing takes them out of all generations,
// unfreezing puts them into that one. Both only splice lists. Not where the program has frozen objects of its own.
// Where there is no GIL the collector has no generations, and freezing goes over every object.
void promote([[maybe_unused]] ModuleState& state) {
#ifndef Py_GIL_DISABLED
  const PyRef frozen = py_call(state.gc_get_freeze_count.get());
  if (frozen && PyLong_AsLong(frozen.get()) == 0 && py_call(state.gc_freeze.get())) py_call(state.gc_unfreeze.get());
#endif
}

void pause(ModuleState& state) {
  PyRef before = py_call(state.gc_get_threshold.get());
  const long first = first_of(before);
  if (first > 0 && first < kPausedThreshold) {  // 0: the program has switched it off
    const PyRef thresholds = paused(before);
    if (thresholds && PyRef::steal(PyObject_CallObject(state.gc_set_threshold.get(), thresholds.get()))) {
      state.thresholds_before = std::move(before);
    }
  }
  PyErr_Clear();
}

void resume(ModuleState& state) {
  const PyRef before = std::exchange(state.thresholds_before, PyRef());
  if (!before) return;
  PyObject *type, *value, *traceback;  // an import that failed ends here too
  PyErr_Fetch(&type, &value, &traceback);
  const PyRef now = py_call(state.gc_get_threshold.get());
  const PyRef ours = paused(before);
  if (now && ours && PyObject_RichCompareBool(now.get(), ours.get(), Py_EQ) == 1) {
    const PyRef counts = py_call(state.gc_get_count.get());
    if (first_of(counts) > first_of(before)) promote(state);  // else the collector would start at once
    PyRef::steal(PyObject_CallObject(state.gc_set_threshold.get(), before.get()));
  }
  PyErr_Clear();
  PyErr_Restore(type, value, traceback);
}

}  // namespace

thread_local OutermostImport* OutermostImport::innermost_ = nullptr;

OutermostImport::OutermostImport(ModuleState& state) : state_(state), outer_(std::exchange(innermost_, this)) {
  const StateLock lock(state_);
  if (state_.import_depth++ == 0) pause(state_);
}

OutermostImport::~OutermostImport() {
  innermost_ = outer_;
  {
    const StateLock lock(state_);
    if (--state_.import_depth > 0) return;
    resume(state_);
  }
  ReadAhead::instance().drop();
  free_scratch(state_);
}

void OutermostImport::after_fork(ModuleState& state) {
  int all = 0, ours = 0;
  for (const OutermostImport* import = innermost_; import != nullptr; import = import->outer_) {
    ++all;
    if (&import->state_ == &state) ++ours;
  }
  HugeArenas::after_fork(all);
  if (state.import_depth.exchange(ours) > 0 && ours == 0) resume(state);
}

}  // namespace intact
