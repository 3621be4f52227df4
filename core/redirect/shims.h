// Our functions by the name of the C library's function they stand in for: one table a theme.
//
// Where the C library has two names for one function (stat and stat64, which are the same on 64-bit machines), both
// names lead to one function of ours.

#pragma once

#include <array>
#include <span>

namespace intact {

struct Shim {
  const char* name;
  void* function;
};

std::span<const Shim> open_shims();       // open_linux.cc
std::span<const Shim> stream_shims();     // stream_linux.cc
std::span<const Shim> stat_shims();       // stat_linux.cc
std::span<const Shim> attribute_shims();  // attribute_linux.cc
std::span<const Shim> path_shims();       // path_linux.cc
std::span<const Shim> directory_shims();  // directory_linux.cc
std::span<const Shim> walk_shims();       // walk_linux.cc
std::span<const Shim> write_shims();      // write_linux.cc
std::span<const Shim> create_shims();     // create_linux.cc
std::span<const Shim> process_shims();    // process_linux.cc
std::span<const Shim> library_shims();    // library_linux.cc

inline std::array<std::span<const Shim>, 11> all_shims() {
  return {open_shims(), stream_shims(), stat_shims(),   attribute_shims(), path_shims(),   directory_shims(),
          walk_shims(), write_shims(),  create_shims(), process_shims(),   library_shims()};
}

// A table's entry; the types differ, which is what a GOT slot is for.
template <typename Function>
Shim shim(const char* name, Function* function) {
  return {name, reinterpret_cast<void*>(function)};
}

}  // namespace intact
