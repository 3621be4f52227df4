// A library for archives; it looks for a file when it is initialised.

#include <sys/stat.h>

#include <cstdlib>

namespace {

bool found_at_start = [] {
  const char* const path = std::getenv("REDIRECT_LIBRARY_LOOKS_FOR");
  struct stat out;
  return path != nullptr && ::stat(path, &out) == 0;
}();

}  // namespace

extern "C" int answer() { return 42; }
extern "C" int sees(const char* path) {
  struct stat out;
  return ::stat(path, &out) == 0 ? 1 : 0;
}
extern "C" int found_its_file() { return found_at_start ? 1 : 0; }
