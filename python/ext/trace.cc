#include "python/ext/trace.h"

#include <pthread.h>

#include <algorithm>
#include <string_view>

#include "core/base/clock.h"
#include "python/ext/state.h"

namespace intact {
namespace {

using Phase = Recorder::Phase;

// As threading.get_ident() has it.
unsigned long this_thread() { return static_cast<unsigned long>(pthread_self()); }

// Who imports: the module whose code runs, importlib's own passed over, and the line. Code in C has no frames: where it
// is a module that initialises itself, the frames below importlib's are those of who imports that one.
void note_importer(Recorder& recorder, Recorder::Span& span, const PyRef& name_key) {
  PyRef frame = PyRef::steal(reinterpret_cast<PyObject*>(PyThreadState_GetFrame(PyThreadState_Get())));
  for (bool innermost = true; frame; innermost = false) {
    auto* at = reinterpret_cast<PyFrameObject*>(frame.get());
    const PyRef globals = PyRef::steal(PyFrame_GetGlobals(at));
    PyRef name = dict_item(globals.get(), name_key.get());
    const std::string_view text = name && PyUnicode_Check(name.get()) ? utf8_view(name.get()) : std::string_view();
    const bool importlibs =
        text == "importlib" || text.starts_with("importlib._bootstrap") || text.starts_with("_frozen_importlib");
    if (!text.empty() && !importlibs) {
      span.line = PyFrame_GetLineNumber(at);
      span.detail = std::move(name);
      return;
    }
    PyErr_Clear();
    if (innermost && importlibs && recorder.take_importer(span)) return;
    frame = PyRef::steal(reinterpret_cast<PyObject*>(PyFrame_GetBack(at)));
  }
}

// The phase of what importlib has called by _call_with_frames_removed, and the module's name where the call tells it.
bool describe_call(ModuleState& state, PyObject* const* arguments, std::size_t count, Recorder::Span& span) {
  PyObject* function = arguments[0];
  if (function == state.builtin_exec.get()) {
    span.phase = Phase::kExecute;
    if (count > 2 && PyDict_Check(arguments[2])) span.subject = dict_item(arguments[2], state.str_module_name.get());
    return PyErr_Clear(), true;
  }
  if (function == state.builtin_compile.get()) {
    span.phase = Phase::kCompile;
    if (count > 2) span.subject = PyRef::borrow(arguments[2]);
    return true;
  }
  // The rest that matters are functions of the module _imp. Parents are imported by it, too: spans of their own.
  if (!PyCFunction_Check(function) || PyCFunction_GET_SELF(function) != state.imp.get()) return false;
  const PyRef name = PyRef::steal(PyObject_GetAttr(function, state.str_module_name.get()));
  PyErr_Clear();
  const std::string_view text = name && PyUnicode_Check(name.get()) ? utf8_view(name.get()) : std::string_view();
  if (text.starts_with("find_")) return false;  // FrozenImporter asks so
  span.phase = text.starts_with("exec_") ? Phase::kExecute : Phase::kDecode;
  return true;
}

bool describe(ModuleState& state, PyObject* const* arguments, std::size_t count, Recorder::Span& span) {
  if (count == 0) return false;
  if (span.phase == Phase::kFetch) return true;
  if (span.phase == Phase::kDecode) return describe_call(state, arguments, count, span);
  span.subject = PyRef::borrow(arguments[0]);
  if (span.phase == Phase::kImport) note_importer(state.recorder, span, state.str_module_name);
  return true;
}

// Calls `function`, and records it.
PyRef recorded(ModuleState& state, Phase phase, PyObject* function, PyObject* const* arguments, std::size_t count,
               PyObject* keywords) {
  Recorder& recorder = state.recorder;
  Recorder::Span span{.phase = phase, .subject = {}, .detail = {}};
  const bool known = describe(state, arguments, count, span);
  phase = span.phase;
  const std::uint64_t recording = recorder.recording();
  const std::size_t index = known ? recorder.begin(std::move(span)) : Recorder::kNone;
  PyRef result = PyRef::steal(call_python(function, arguments, count, keywords));
  recorder.end(index, recording, !result, phase == Phase::kFind ? result : PyRef());
  return result;
}

// What stands in importlib's module or in zipimport; `self` is Hook::self.
template <Phase kPhase>
PyObject* hook(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  ModuleState& state = module_state(PyTuple_GET_ITEM(self, 0));
  PyObject* original = PyTuple_GET_ITEM(self, 1);
  const auto size = static_cast<std::size_t>(count);
  if (!state.recorder.records(self)) return call_python(original, arguments, size, keywords);
  return recorded(state, kPhase, original, arguments, size, keywords).release();
}

template <Phase kPhase>
PyMethodDef hook_named(const char* name) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(hook<kPhase>)), METH_FASTCALL | METH_KEYWORDS,
          nullptr};
}
PyMethodDef kHookFunctions[Recorder::kHooks] = {
    hook_named<Phase::kImport>("_find_and_load"),  hook_named<Phase::kFind>("_find_spec"),
    hook_named<Phase::kLoad>("_load_unlocked"),    hook_named<Phase::kDecode>("_call_with_frames_removed"),
    hook_named<Phase::kFetch>("_get_module_code"),
};

// The module that a hook stands in: zipimport for the last.
PyRef hooked_module(std::size_t hook) {
  return PyRef::steal(PyImport_ImportModule(hook + 1 < Recorder::kHooks ? "_frozen_importlib" : "zipimport"));
}

PyObject* or_none(const PyRef& object) { return object ? object.get() : Py_None; }

}  // namespace

bool Recorder::records(PyObject* hook) const {
  return on() && PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(hook, 2)) == recording();
}

bool Recorder::start(PyObject* module, std::size_t& next) {
  if (!on() && !install(module)) return remove(), false;
  const std::lock_guard lock(mutex_);
  users_.fetch_add(1);
  next = spans_.size();
  return true;
}

std::vector<Recorder::Span> Recorder::stop(std::size_t first) {
  std::vector<Span> taken, dropped;  // what is dropped may run Python: without the lock
  {
    const std::lock_guard lock(mutex_);
    taken.assign(spans_.begin() + static_cast<std::ptrdiff_t>(std::min(first, spans_.size())), spans_.end());
    if (users_.fetch_sub(1) > 1) return taken;
    std::swap(dropped, spans_);
    innermost_.clear();
    recording_.fetch_add(1);
  }
  remove();
  return taken;
}

bool Recorder::take_importer(Span& span) {
  const std::lock_guard lock(mutex_);
  const auto innermost = innermost_.find(this_thread());
  if (innermost == innermost_.end() || innermost->second == kNone) return false;
  const Span& outer = spans_[innermost->second];
  if (outer.phase != Phase::kImport) return !outer.subject && outer.phase != Phase::kFetch;
  span.detail = outer.detail ? PyRef::borrow(outer.detail.get()) : PyRef();
  span.line = outer.line;
  return true;
}

std::size_t Recorder::begin(Span span) {
  span.thread = this_thread();
  const std::lock_guard lock(mutex_);
  if (!on()) return kNone;
  auto [innermost, fresh] = innermost_.try_emplace(span.thread, kNone);
  span.parent = std::exchange(innermost->second, spans_.size());
  span.start = monotonic_now();
  spans_.push_back(std::move(span));
  return innermost->second;
}

void Recorder::end(std::size_t index, std::uint64_t recording, bool failed, PyRef detail) {
  if (index == kNone) return;
  const std::int64_t time = monotonic_now();
  const std::lock_guard lock(mutex_);
  if (recording != recording_) return;
  Span& span = spans_[index];
  span.end = time;
  span.failed = failed;
  if (detail) span.detail = std::move(detail);
  innermost_[span.thread] = span.parent;
}

void Recorder::add_bytes(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto innermost = innermost_.find(this_thread());
  if (innermost != innermost_.end() && innermost->second != kNone) spans_[innermost->second].bytes += bytes;
}

bool Recorder::install(PyObject* module) {
  for (std::size_t i = 0; i < kHooks; ++i) {
    const PyRef names = hooked_module(i);
    const PyRef original =
        PyRef::steal(names ? PyObject_GetAttrString(names.get(), kHookFunctions[i].ml_name) : nullptr);
    Hook& hook = hooks_[i];
    hook.self = PyRef::steal(original ? Py_BuildValue("(OOK)", module, original.get(), recording()) : nullptr);
    hook.function = PyRef::steal(hook.self ? PyCFunction_New(&kHookFunctions[i], hook.self.get()) : nullptr);
    if (!hook.function || PyObject_SetAttrString(names.get(), kHookFunctions[i].ml_name, hook.function.get()) < 0)
      return false;
  }
  return true;
}

// What a program has put in the place of ours meanwhile stays: it may call ours, which then does nothing of its own.
void Recorder::remove() {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  for (std::size_t i = 0; i < kHooks; ++i) {
    const PyRef names = hooked_module(i);
    const Hook hook = std::exchange(hooks_[i], {});
    const PyRef there = PyRef::steal(names ? PyObject_GetAttrString(names.get(), kHookFunctions[i].ml_name) : nullptr);
    if (there && there.get() == hook.function.get())
      PyObject_SetAttrString(names.get(), kHookFunctions[i].ml_name, PyTuple_GET_ITEM(hook.self.get(), 1));
  }
  PyErr_Clear();
  PyErr_Restore(type, value, traceback);
}

int Recorder::traverse(visitproc visit, void* arg) const {
  for (const Hook& hook : hooks_) {
    Py_VISIT(hook.self.get());
    Py_VISIT(hook.function.get());
  }
  return 0;
}

PyRef call_with_frames_removed(ModuleState& state, std::initializer_list<PyObject*> arguments, PyObject* keywords) {
  const std::size_t named = keywords ? static_cast<std::size_t>(PyTuple_GET_SIZE(keywords)) : 0;
  const std::size_t count = arguments.size() - named;
  PyObject* function = state.call_with_frames_removed.get();
  if (state.recorder.on()) return recorded(state, Phase::kDecode, function, arguments.begin(), count, keywords);
  return PyRef::steal(call_python(function, arguments.begin(), count, keywords));
}

PyObject* trace_start(PyObject* module, PyObject*) {
  std::size_t next = 0;
  return module_state(module).recorder.start(module, next) ? PyLong_FromSize_t(next) : nullptr;
}

PyObject* trace_stop(PyObject* module, PyObject* first) {
  static const char* const kPhases[] = {"import", "find", "load", "decode", "compile", "execute", "fetch"};
  const std::size_t from = PyLong_AsSize_t(first);
  if (PyErr_Occurred()) return nullptr;
  const std::vector<Recorder::Span> spans = module_state(module).recorder.stop(from);
  PyRef list = PyRef::steal(PyList_New(0));
  for (std::size_t i = 0; list && i < spans.size(); ++i) {
    const Recorder::Span& span = spans[i];
    const bool inside = span.parent != Recorder::kNone && span.parent >= from;
    const auto parent = inside ? static_cast<Py_ssize_t>(span.parent - from) : -1;
    const PyRef item = PyRef::steal(Py_BuildValue(
        "(sOOiknOLLK)", kPhases[static_cast<std::size_t>(span.phase)], or_none(span.subject), or_none(span.detail),
        span.line, span.thread, parent, span.failed ? Py_True : Py_False, span.start, span.end, span.bytes));
    if (!item || PyList_Append(list.get(), item.get()) < 0) return nullptr;
  }
  return list.release();
}

}  // namespace intact
