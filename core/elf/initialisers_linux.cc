#include "core/elf/initialisers_linux.h"

#include <unistd.h>

namespace intact {

namespace {

using Initialiser = void (*)(int, char**, char**);

// The process's own, which the C library hands to constructors and nobody else. Written once, before main or
// within the dlopen of the library that this is part of.
struct Arguments {
  int count = 0;
  char** values = nullptr;
};
Arguments arguments;

[[gnu::constructor]] void remember_arguments(int count, char** values, char**) { arguments = {count, values}; }

}  // namespace

void run_initialisers(const link_map& image, const ElfFile& file) {
  if (file.init) {
    const auto function = reinterpret_cast<Initialiser>(image.l_addr + file.init);
    function(arguments.count, arguments.values, environ);
  }
  // The array has been relocated: it holds addresses. 0 and -1 are the ends of old-style lists.
  const auto* array = reinterpret_cast<const std::uintptr_t*>(image.l_addr + file.init_array);
  for (std::uint64_t i = 0; i < file.init_array_size / sizeof *array; ++i) {
    if (array[i] == 0 || array[i] == UINTPTR_MAX) continue;
    reinterpret_cast<Initialiser>(array[i])(arguments.count, arguments.values, environ);
  }
}

}  // namespace intact
