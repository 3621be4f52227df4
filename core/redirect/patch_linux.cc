// Where a call of `open` in some object really goes: through a slot of its global offset table, which the dynamic
// linker fills as the object's relocations say. The relocations stay readable after loading, so the slots can be
// found again and pointed elsewhere, in objects that were loaded long ago too. Three kinds of relocation hold a
// function's address: JUMP_SLOT (calls through the PLT, bound lazily or at once), GLOB_DAT (-fno-plt, Rust, functions
// whose address is taken) and the plain 64-bit one (tables of function pointers in data, such as SQLite's).
//
// What makes it delicate:
//   - Another thread may be in the middle of a dlopen. Its object is on the list before it is relocated, and an
//   unrelocated
//     slot holds an offset that the linker is about to add the load address to. Such an object is left for later.
//   - The slots of an object linked with -z relro are read-only. Its RELRO pages are made writable for the stores.
//   - A weak function that the C library lacks is null in its slot, and callers ask for that: null stays null.
//   - d_ptr values are absolute where the linker has relocated the dynamic section (glibc) and relative where it has
//     not (the vDSO, other C libraries).
//
// The C library, the dynamic linker, the sanitizers' runtimes and the object that holds these functions are not
// patched.

#include "core/redirect/patch_linux.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <span>
#include <string_view>
#include <unordered_map>

#include "core/elf/machine.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

// Between the offsets in a PLT table that is not relocated yet.
constexpr ElfW(Addr) kPltStep = kHostMachine.number == EM_X86_64 ? 16 : 0;

using Address = ElfW(Addr);
using Slot = std::atomic_ref<void*>;

struct Range {
  Address begin = 0;
  Address end = 0;
  bool contains(Address address) const { return address >= begin && address < end; }
};

// A loaded object, as far as finding slots needs it.
struct Object {
  Address base = 0;
  Range mapped;
  Range relro;  // whole pages
  std::span<const ElfW(Phdr)> headers;
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  const char* soname = "";
  std::span<const ElfW(Rela)> data;  // without the leading relative ones
  std::span<const ElfW(Rela)> plt;

  const ElfW(Sym) & symbol(const ElfW(Rela) & relocation) const { return symbols[ELF64_R_SYM(relocation.r_info)]; }
  const char* name(const ElfW(Rela) & relocation) const { return strings + symbol(relocation).st_name; }
  Slot slot(const ElfW(Rela) & relocation) const { return Slot(*reinterpret_cast<void**>(base + relocation.r_offset)); }
  Address value(const ElfW(Rela) & relocation) const {
    return reinterpret_cast<Address>(slot(relocation).load(std::memory_order_acquire));
  }
};

std::uint32_t type_of(const ElfW(Rela) & relocation) {
  return static_cast<std::uint32_t>(ELF64_R_TYPE(relocation.r_info));
}

bool holds_a_function(const Object& object, const ElfW(Rela) & relocation) {
  return stores_symbol(kHostMachine, type_of(relocation)) && object.symbol(relocation).st_shndx == SHN_UNDEF;
}

// ---- our functions by name ------------------------------------------------------------------------------------

// Asked for every relocation of every object, so it says no quickly: most names fail on their first character or on
// an empty place of the table.
class ShimTable {
 public:
  ShimTable() {
    for (std::span<const Shim> part : all_shims()) {
      for (const Shim& shim : part) {
        initial_[static_cast<unsigned char>(shim.name[0])] = true;
        std::size_t at = hash(shim.name) % kPlaces;
        while (places_[at] != nullptr) at = (at + 1) % kPlaces;
        places_[at] = &shim;
      }
    }
  }

  const Shim* find(const char* name) const {
    if (!initial_[static_cast<unsigned char>(name[0])]) return nullptr;
    for (std::size_t at = hash(name) % kPlaces; places_[at] != nullptr; at = (at + 1) % kPlaces) {
      if (std::strcmp(places_[at]->name, name) == 0) return places_[at];
    }
    return nullptr;
  }

 private:
  static constexpr std::size_t kPlaces = 2048;  // over ten times the names

  static std::uint32_t hash(const char* name) {
    std::uint32_t value = 2166136261u;
    for (; *name != '\0'; ++name) value = (value ^ static_cast<unsigned char>(*name)) * 16777619u;
    return value ^ (value >> 15);
  }

  std::array<const Shim*, kPlaces> places_ = {};
  std::array<bool, 256> initial_ = {};
};

const ShimTable& shim_table() {
  static const ShimTable table;
  return table;
}

// ---- reading an object ----------------------------------------------------------------------------------------

Object object_of(const dl_phdr_info& info) {
  Object object;
  object.base = info.dlpi_addr;
  object.headers = {info.dlpi_phdr, info.dlpi_phnum};
  const Address page = static_cast<Address>(sysconf(_SC_PAGESIZE));
  const ElfW(Dyn)* dynamic = nullptr;
  for (const ElfW(Phdr) & header : object.headers) {
    const Range range{object.base + header.p_vaddr, object.base + header.p_vaddr + header.p_memsz};
    if (header.p_type == PT_DYNAMIC) dynamic = reinterpret_cast<const ElfW(Dyn)*>(range.begin);
    if (header.p_type == PT_GNU_RELRO) object.relro = {range.begin & -page, range.end & -page};
    if (header.p_type != PT_LOAD) continue;
    if (object.mapped.end == 0) object.mapped.begin = range.begin;
    object.mapped.end = range.end;
  }
  if (dynamic == nullptr) return object;

  const auto at = [&](const ElfW(Dyn) & entry) {
    return object.mapped.contains(entry.d_un.d_ptr) ? entry.d_un.d_ptr : object.base + entry.d_un.d_ptr;
  };
  const ElfW(Rela)* data = nullptr;
  const ElfW(Rela)* plt = nullptr;
  std::size_t data_size = 0;
  std::size_t plt_size = 0;
  std::size_t relative = 0;
  std::size_t soname = 0;
  for (const ElfW(Dyn)* entry = dynamic; entry->d_tag != DT_NULL; ++entry) {
    switch (entry->d_tag) {
      case DT_SYMTAB:
        object.symbols = reinterpret_cast<const ElfW(Sym)*>(at(*entry));
        break;
      case DT_STRTAB:
        object.strings = reinterpret_cast<const char*>(at(*entry));
        break;
      case DT_SONAME:
        soname = entry->d_un.d_val;
        break;
      case DT_RELA:
        data = reinterpret_cast<const ElfW(Rela)*>(at(*entry));
        break;
      case DT_RELASZ:
        data_size = entry->d_un.d_val / sizeof(ElfW(Rela));
        break;
      case DT_RELACOUNT:
        relative = entry->d_un.d_val;
        break;
      case DT_JMPREL:
        plt = reinterpret_cast<const ElfW(Rela)*>(at(*entry));
        break;
      case DT_PLTRELSZ:
        plt_size = entry->d_un.d_val / sizeof(ElfW(Rela));
        break;
      default:
        break;
    }
  }
  if (object.symbols == nullptr || object.strings == nullptr) return object;
  if (soname != 0) object.soname = object.strings + soname;
  if (data != nullptr && relative <= data_size) object.data = {data + relative, data_size - relative};
  if (plt != nullptr) object.plt = {plt, plt_size};
  return object;
}

bool left_alone(const Object& object) {
  constexpr std::string_view kPrefixes[] = {"libc.so",    "ld-linux",    "libpthread.so", "libdl.so",    "libasan.so",
                                            "libtsan.so", "libubsan.so", "liblsan.so",    "libclang_rt."};
  if (object.mapped.contains(reinterpret_cast<Address>(&shim_table))) return true;
  for (std::string_view prefix : kPrefixes) {
    if (std::string_view(object.soname).starts_with(prefix)) return true;
  }
  return false;
}

// Whether slots from `last` downwards look as the static linker wrote them: offsets of PLT entries, one after the other
// (x86-64), or all of the first one (aarch64).
bool as_linked(const Object& object, std::size_t last) {
  for (std::size_t i = last; i > 0 && last - i < 3; --i) {
    if (type_of(object.plt[i - 1]) != kHostMachine.jump_slot) return false;
    if (object.value(object.plt[i]) - object.value(object.plt[i - 1]) != kPltStep) return false;
  }
  return last > 0;
}

// Whether the dynamic linker is through with the object. It applies relocations in order, first `data`, then `plt`,
// so the last one that must end with a value tells: until then its slot holds nothing, or in the PLT's table an offset
// into the object. An executable at a fixed low address (Debian's python3) has functions where offsets could be.
bool relocated(const Object& object, const Range& fixed_executable) {
  const Address size = object.mapped.end - object.mapped.begin;
  const auto must_end_with_a_value = [&](const ElfW(Rela) & relocation) {
    return holds_a_function(object, relocation) && ELF64_ST_BIND(object.symbol(relocation).st_info) != STB_WEAK;
  };
  if (object.base == 0) return true;
  for (std::size_t i = object.plt.size(); i-- > 0;) {
    if (!must_end_with_a_value(object.plt[i])) continue;
    const Address value = object.value(object.plt[i]);
    return value != 0 && (value >= size || (fixed_executable.contains(value) && !as_linked(object, i)));
  }
  for (std::size_t i = object.data.size(); i-- > 0;) {
    if (must_end_with_a_value(object.data[i])) return object.value(object.data[i]) != 0;
  }
  return true;
}

// ---- storing --------------------------------------------------------------------------------------------------

std::atomic<std::uint64_t> object_count{0};
std::atomic<std::uint64_t> slot_count{0};

// Lets slots of one object be written; RELRO pages are made writable at the first store into them and read-only again
// at the end.
class SlotWriter {
 public:
  explicit SlotWriter(const Object& object) : object_(object) {}
  SlotWriter(const SlotWriter&) = delete;
  SlotWriter& operator=(const SlotWriter&) = delete;
  ~SlotWriter() {
    if (opened_) protect(PROT_READ);
  }

  bool write(Slot slot, Address address, void* value) {
    if (object_.relro.contains(address)) {
      if (!opened_ && !protect(PROT_READ | PROT_WRITE)) return false;
      opened_ = true;
    } else if (!in_writable_segment(address)) {
      return false;  // a relocation of the text
    }
    slot.store(value, std::memory_order_release);
    return true;
  }

 private:
  bool protect(int protection) {
    return mprotect(reinterpret_cast<void*>(object_.relro.begin), object_.relro.end - object_.relro.begin,
                    protection) == 0;
  }
  bool in_writable_segment(Address address) const {
    for (const ElfW(Phdr) & header : object_.headers) {
      const Address begin = object_.base + header.p_vaddr;
      if (header.p_type == PT_LOAD && (header.p_flags & PF_W) != 0 &&
          Range{begin, begin + header.p_memsz}.contains(address)) {
        return true;
      }
    }
    return false;
  }

  const Object& object_;
  bool opened_ = false;
};

// Calls `change(slot, address, shim)` for each slot of one of our names.
template <typename Change>
void for_each_slot(const Object& object, Change change) {
  const ShimTable& shims = shim_table();
  for (std::span<const ElfW(Rela)> relocations : {object.data, object.plt}) {
    for (const ElfW(Rela) & relocation : relocations) {
      if (!holds_a_function(object, relocation)) continue;
      if (const Shim* shim = shims.find(object.name(relocation))) {
        change(object.slot(relocation), object.base + relocation.r_offset, *shim);
      }
    }
  }
}

void patch(const Object& object) {
  SlotWriter writer(object);
  std::uint64_t stored = 0;
  for_each_slot(object, [&](Slot slot, Address address, const Shim& shim) {
    void* const now = slot.load(std::memory_order_acquire);
    if (now != nullptr && now != shim.function && writer.write(slot, address, shim.function)) ++stored;
  });
  slot_count.fetch_add(stored, std::memory_order_relaxed);
  if (stored > 0) object_count.fetch_add(1, std::memory_order_relaxed);
}

using Originals = std::unordered_map<std::string_view, void*>;

void restore(const Object& object, const Originals& originals) {
  SlotWriter writer(object);
  for_each_slot(object, [&](Slot slot, Address address, const Shim& shim) {
    if (slot.load(std::memory_order_acquire) != shim.function) return;
    if (void* const original = originals.at(shim.name)) writer.write(slot, address, original);
  });
}

// ---- walking --------------------------------------------------------------------------------------------------

// Objects are appended to the list, so those before `scanned` need no second look unless one was removed.
std::atomic<unsigned long long> seen_additions{0};
std::atomic<unsigned long long> seen_removals{0};
std::atomic<std::size_t> scanned{0};

struct Walk {
  std::size_t position = 0;
  bool waiting = false;  // an object that is not relocated yet was met
  Range fixed_executable;
};

int visit_new(dl_phdr_info* info, std::size_t, void* data) {
  auto& walk = *static_cast<Walk*>(data);
  if (walk.position == 0) {
    if (info->dlpi_adds == seen_additions.load(std::memory_order_relaxed)) return 1;
    if (info->dlpi_addr == 0) walk.fixed_executable = object_of(*info).mapped;  // the executable comes first
    if (info->dlpi_subs != seen_removals.exchange(info->dlpi_subs, std::memory_order_relaxed)) scanned.store(0);
  }
  if (walk.position++ < scanned.load(std::memory_order_relaxed)) return 0;
  const Object object = object_of(*info);
  if (!left_alone(object)) {
    if (relocated(object, walk.fixed_executable))
      patch(object);
    else
      walk.waiting = true;
  }
  if (walk.waiting) {
    seen_additions.store(0, std::memory_order_relaxed);
  } else {
    scanned.store(walk.position, std::memory_order_relaxed);
    seen_additions.store(info->dlpi_adds, std::memory_order_relaxed);
  }
  return 0;
}

int visit_one(dl_phdr_info* info, std::size_t, void* data) {
  const auto* wanted = static_cast<const link_map*>(data);
  if (info->dlpi_addr != wanted->l_addr) return 0;
  const Object object = object_of(*info);
  if (!object.mapped.contains(reinterpret_cast<Address>(wanted->l_ld))) return 0;
  if (!left_alone(object)) patch(object);
  return 1;
}

int visit_restore(dl_phdr_info* info, std::size_t, void* data) {
  const Object object = object_of(*info);
  if (!left_alone(object)) restore(object, *static_cast<const Originals*>(data));
  scanned.store(0, std::memory_order_relaxed);
  seen_additions.store(0, std::memory_order_relaxed);
  return 0;
}

}  // namespace

void patch_new_objects() {
  Walk walk;
  dl_iterate_phdr(visit_new, &walk);
}

void patch_object(const link_map* object) { dl_iterate_phdr(visit_one, const_cast<link_map*>(object)); }

void restore_objects() {
  Originals originals;  // looked up first: dlsym takes a lock that must not be taken under dl_iterate_phdr's
  for (std::span<const Shim> part : all_shims()) {
    for (const Shim& shim : part) originals[shim.name] = dlsym(RTLD_DEFAULT, shim.name);
  }
  dl_iterate_phdr(visit_restore, &originals);
  object_count.store(0, std::memory_order_relaxed);
  slot_count.store(0, std::memory_order_relaxed);
}

std::uint64_t patched_objects() { return object_count.load(std::memory_order_relaxed); }
std::uint64_t patched_slots() { return slot_count.load(std::memory_order_relaxed); }

}  // namespace intact
