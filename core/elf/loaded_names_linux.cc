#include "core/elf/loaded_names_linux.h"

#include <link.h>

namespace intact {

namespace {

// The SONAME of a loaded object, read from its own memory: the dynamic linker has checked it, or we have. Most objects'
// tables hold absolute addresses once loaded, the kernel's vDSO and objects with a read-only dynamic section relative
// ones.
const char* loaded_soname(const dl_phdr_info& object) {
  for (ElfW(Half) i = 0; i < object.dlpi_phnum; ++i) {
    if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + object.dlpi_phdr[i].p_vaddr);
    ElfW(Addr) strings = 0, soname = 0;
    bool named = false;
    for (; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_STRTAB) strings = entry->d_un.d_ptr;
      if (entry->d_tag == DT_SONAME) soname = entry->d_un.d_val, named = true;
    }
    if (!named || strings == 0) return nullptr;
    if (strings < object.dlpi_addr) strings += object.dlpi_addr;
    return reinterpret_cast<const char*>(strings + soname);
  }
  return nullptr;
}

}  // namespace

bool LoadedNames::contains(std::string_view soname) {
  refresh();
  return names_.contains(std::string(soname));
}

void LoadedNames::refresh() {
  struct Walk {
    LoadedNames* self;
    unsigned long long number = 0;
  } walk{this};
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* data) {
        auto& [self, number] = *static_cast<Walk*>(data);
        if (number == 0) {
          if (object->dlpi_adds == self->added_ && object->dlpi_subs == self->removed_) return 1;
          if (object->dlpi_subs != self->removed_) {  // objects have gone: which ones is not told
            self->names_.clear();
            self->seen_ = 0;
          }
          self->added_ = object->dlpi_adds;
          self->removed_ = object->dlpi_subs;
        }
        if (number++ < self->seen_) return 0;
        self->seen_ = number;
        if (const char* soname = loaded_soname(*object)) self->names_.emplace(soname);
        return 0;
      },
      &walk);
}

}  // namespace intact
