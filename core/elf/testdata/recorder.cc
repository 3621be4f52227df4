// A shared object that tells what it saw when its constructor ran: in environment variables, which every object of the
// process and the test can read.

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

#include <string>

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#ifndef INTACT_VALUE
#define INTACT_VALUE 1
#endif

namespace {

void tell(const std::string& what, const std::string& value) {
  setenv(("INTACT_" + what + "_" STRING(INTACT_NAME)).c_str(), value.c_str(), 1);
}

int find_self(dl_phdr_info* object, std::size_t, void* found) {
  const auto here = reinterpret_cast<ElfW(Addr)>(&find_self);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    const ElfW(Addr) begin = object->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && here >= begin && here - begin < segment.p_memsz) {
      *static_cast<std::string*>(found) = object->dlpi_name;
      return 1;
    }
  }
  return 0;
}

__attribute__((constructor)) void record(int argc, char** argv, char** environment) {
  const char* before = getenv("INTACT_ORDER");
  setenv("INTACT_ORDER", ((before ? before : "") + std::string(" " STRING(INTACT_NAME))).c_str(), 1);
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&find_self), &self)) tell("DLADDR", self.dli_fname);
  std::string name;
  dl_iterate_phdr(find_self, &name);
  tell("PHDR", name);
  tell("ARGC", std::to_string(argc));
  tell("ARGV0", argc > 0 ? argv[0] : "");
  tell("ENVIRON", environment && environment[0] ? "yes" : "no");
  if (const char* hook = getenv("INTACT_HOOK_" STRING(INTACT_NAME))) {
    reinterpret_cast<void (*)()>(strtoull(hook, nullptr, 16))();
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int JOIN(INTACT_NAME, _value)() { return INTACT_VALUE; }
