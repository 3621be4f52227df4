// One thread-local variable with a first value, one that is zero, one that has a constructor.

#include <string>

namespace {
thread_local int counter = 41;
thread_local int zero;
thread_local std::string text = "first";
}  // namespace

extern "C" __attribute__((visibility("default"))) int next_count() { return ++counter + zero; }
extern "C" __attribute__((visibility("default"))) const char* thread_text() { return text.c_str(); }
