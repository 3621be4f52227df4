#include "core/elf/elf_tables.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "core/base/reader.h"

namespace intact {

namespace {

constexpr std::uint64_t kMaxVersions = 65'536;  // version indices have 15 bits

const ElfDynamicEntry* find_entry(const ElfFile& file, std::int64_t tag) {
  // Of entries with one tag ld.so takes the last.
  for (auto entry = file.dynamic.rbegin(); entry != file.dynamic.rend(); ++entry) {
    if (entry->tag == tag) return &*entry;
  }
  return nullptr;
}

class TableChecker {
 public:
  TableChecker(ElfSource& source, ElfFile& file) : source_(source), file_(file) {}

  Result<void> check() {
    INTACT_ASSIGN(file_.relocations, elf_table(file_, DT_RELA, DT_RELASZ, "the relocation table"));
    INTACT_ASSIGN(file_.plt_relocations, elf_table(file_, DT_JMPREL, DT_PLTRELSZ, "the PLT's relocation table"));
    INTACT_ASSIGN(auto relative, elf_table(file_, DT_RELR, DT_RELRSZ, "the relative relocation table"));
    INTACT_TRY(check_relocations(file_.relocations));
    INTACT_TRY(check_relocations(file_.plt_relocations));
    INTACT_TRY(count_relative(relative));
    INTACT_TRY(check_hash());
    INTACT_TRY(check_gnu_hash());
    INTACT_TRY(check_symbols());
    INTACT_TRY(check_versions());
    return {};
  }

 private:
  // Bytes at an address of the object.
  Result<std::span<const std::byte>> at(std::uint64_t address, std::uint64_t size, const char* what) {
    const auto offset = file_.offset_of(address, size);
    if (!offset) return elf_error(std::string(what) + " lies in no segment", address);
    return source_.at(*offset, size);
  }

  Result<void> check_relocations(const ElfTable& table) {
    if (table.size % sizeof(Elf64_Rela) != 0)
      return elf_error("a relocation table that ends within an entry", table.offset);
    if (table.size == 0) return {};
    INTACT_ASSIGN(auto bytes, source_.at(table.offset, table.size));
    file_.relocation_count += table.size / sizeof(Elf64_Rela);
    const ElfSegment* segment = nullptr;  // relocations come sorted: the last one's is nearly always the next one's
    Reader in(bytes);
    while (in.left() > 0) {
      const std::uint64_t where = table.offset + in.position();
      const auto target = in.u64(), info = in.u64();
      in.skip(8);
      const auto type = static_cast<std::uint32_t>(ELF64_R_TYPE(info));
      if (type == file_.machine->none) continue;
      if (type == file_.machine->irelative) file_.resolves_itself = true;
      used_symbols_ = std::max<std::uint64_t>(used_symbols_, ELF64_R_SYM(info) + 1);
      if (!segment || !holds(*segment, target)) {
        const auto found = std::ranges::find_if(file_.segments, [&](const ElfSegment& s) { return holds(s, target); });
        if (found == file_.segments.end()) return elf_error("a relocation outside the segments", where);
        segment = &*found;
      }
    }
    return {};
  }

  // DT_RELR: a word is an address to relocate, or if it is odd, a bit for each of the 63 words that follow.
  Result<void> count_relative(const ElfTable& table) {
    if (table.size == 0) return {};
    INTACT_ASSIGN(auto bytes, source_.at(table.offset, table.size));
    for (Reader in(bytes); in.left() >= sizeof(Elf64_Relr);) {
      const std::uint64_t word = in.u64();
      file_.relocation_count += (word & 1) ? static_cast<std::uint64_t>(std::popcount(word >> 1)) : 1;
    }
    return {};
  }

  static bool holds(const ElfSegment& segment, std::uint64_t target) {
    return segment.type == PT_LOAD && target >= segment.address && target - segment.address < segment.memory_size &&
           segment.memory_size - (target - segment.address) >= 8;
  }

  Result<void> check_hash() {
    const ElfDynamicEntry* entry = find_entry(file_, DT_HASH);
    if (!entry) return {};
    INTACT_ASSIGN(auto head, at(entry->value, 8, "the hash table"));
    Reader in(head);
    const std::uint64_t buckets = in.u32(), chains = in.u32();
    INTACT_ASSIGN(auto bytes, at(entry->value, 8 + 4 * (buckets + chains), "the hash table"));
    if (buckets == 0) return elf_error("a hash table without buckets", entry->value);
    Reader links(bytes);
    links.skip(8);
    while (links.left() > 0) {
      if (links.u32() >= std::max<std::uint64_t>(chains, 1))
        return elf_error("a hash chain that leaves its table", entry->value);
    }
    hashed_symbols_ = std::max(hashed_symbols_, chains);
    return {};
  }

  // Buckets hold the first symbol of each chain; a chain runs through consecutive symbols to one whose hash is odd.
  Result<void> check_gnu_hash() {
    const ElfDynamicEntry* entry = find_entry(file_, DT_GNU_HASH);
    if (!entry) return {};
    INTACT_ASSIGN(auto head, at(entry->value, 16, "the GNU hash table"));
    Reader in(head);
    const std::uint64_t buckets = in.u32(), first = in.u32(), bloom = in.u32();
    if (bloom == 0 || (bloom & (bloom - 1)) != 0) return elf_error("a GNU hash filter of no usable size", entry->value);
    if (buckets == 0) return elf_error("a GNU hash table without buckets", entry->value);
    const std::uint64_t table = entry->value + 16 + 8 * bloom;
    INTACT_ASSIGN(auto bytes, at(entry->value, 16 + 8 * bloom + 4 * buckets, "the GNU hash table"));
    Reader numbers(bytes);
    numbers.skip(16 + 8 * bloom);
    std::uint64_t last = 0;
    for (std::uint64_t i = 0; i < buckets; ++i) {
      const std::uint64_t symbol = numbers.u32();
      if (symbol != 0 && symbol < first) return elf_error("a GNU hash bucket below its first symbol", entry->value);
      last = std::max(last, symbol);
    }
    hashed_symbols_ = std::max(hashed_symbols_, first);
    if (last == 0) return {};
    const std::uint64_t chains = table + 4 * buckets;
    INTACT_TRY(at(chains, 4 * (last - first + 1), "a GNU hash chain"));
    for (;; ++last) {
      INTACT_ASSIGN(auto hash, at(chains + 4 * (last - first), 4, "a GNU hash chain"));
      if (Reader(hash).u32() & 1) break;
    }
    hashed_symbols_ = std::max(hashed_symbols_, last + 1);
    return {};
  }

  // The file does not say how many symbols there are: as many as the hash tables and the relocations reach.
  Result<void> check_symbols() {
    const ElfDynamicEntry* entry = find_entry(file_, DT_SYMTAB);
    if (!entry) return elf_error("no symbol table", 0);
    file_.symbol_count = std::max({hashed_symbols_, used_symbols_, std::uint64_t{1}});
    const std::uint64_t size = file_.symbol_count * sizeof(Elf64_Sym);
    INTACT_ASSIGN(auto bytes, at(entry->value, size, "the symbol table"));
    INTACT_ASSIGN(auto names, source_.at(file_.strings.offset, file_.strings.size));
    if (names.back() != std::byte{0}) return elf_error("a string table without an end", file_.strings.offset);
    file_.symbols = {entry->value, *file_.offset_of(entry->value, size), size};
    Reader in(bytes);
    for (std::uint64_t i = 0; i < file_.symbol_count; ++i) {
      const std::uint64_t where = file_.symbols.offset + in.position();
      const std::uint32_t name = in.u32();
      const std::uint8_t info = in.u8();
      in.skip(1);
      const std::uint16_t section = in.u16();
      in.skip(16);
      if (name >= file_.strings.size) return elf_error("a symbol's name lies outside the string table", where);
      if (ELF64_ST_TYPE(info) == STT_GNU_IFUNC && section != SHN_UNDEF) file_.resolves_itself = true;
    }
    return {};
  }

  Result<void> check_versions() {
    if (const ElfDynamicEntry* entry = find_entry(file_, DT_VERSYM)) {
      INTACT_TRY(at(entry->value, 2 * file_.symbol_count, "the version table"));
    }
    if (const ElfDynamicEntry* entry = find_entry(file_, DT_VERNEED)) INTACT_TRY(check_version_needs(entry->value));
    if (const ElfDynamicEntry* entry = find_entry(file_, DT_VERDEF))
      INTACT_TRY(check_version_definitions(entry->value));
    return {};
  }

  // A list of files, for each a list of versions; the links are distances forward, 0 at the end.
  Result<void> check_version_needs(std::uint64_t address) {
    std::uint64_t records = 0;
    for (std::uint64_t next = 1; next != 0;) {
      if (++records > kMaxVersions) return elf_error("too many version needs", address);
      INTACT_ASSIGN(auto bytes, at(address, sizeof(Elf64_Verneed), "a version need"));
      Reader in(bytes);
      if (in.u16() != VER_NEED_CURRENT) return elf_error("a version need of an unknown form", address);
      in.skip(2);
      const std::uint64_t name = in.u32();
      std::uint64_t version = address + in.u32();
      next = in.u32();
      INTACT_ASSIGN(std::string text, elf_string(source_, file_, name, file_.strings.size));
      const std::uint64_t offset = *file_.offset_of(address, sizeof(Elf64_Verneed)) + offsetof(Elf64_Verneed, vn_file);
      file_.version_files.push_back({std::move(text), offset, file_.strings.offset + name});
      for (std::uint64_t step = 1; step != 0; version += step) {
        if (++records > kMaxVersions) return elf_error("too many version needs", version);
        INTACT_ASSIGN(auto item, at(version, sizeof(Elf64_Vernaux), "a version need"));
        Reader aux(item);
        aux.skip(8);
        if (aux.u32() >= file_.strings.size)
          return elf_error("a version's name lies outside the string table", version);
        step = aux.u32();
      }
      address += next;
    }
    return {};
  }

  Result<void> check_version_definitions(std::uint64_t address) {
    std::uint64_t records = 0;
    for (std::uint64_t next = 1; next != 0; address += next) {
      if (++records > kMaxVersions) return elf_error("too many version definitions", address);
      INTACT_ASSIGN(auto bytes, at(address, sizeof(Elf64_Verdef), "a version definition"));
      Reader in(bytes);
      if (in.u16() != VER_DEF_CURRENT) return elf_error("a version definition of an unknown form", address);
      in.skip(4);
      std::uint64_t left = in.u16();
      in.skip(4);
      std::uint64_t version = address + in.u32();
      next = in.u32();
      for (std::uint64_t step = 1; step != 0 && left > 0; version += step, --left) {
        if (++records > kMaxVersions) return elf_error("too many version definitions", version);
        INTACT_ASSIGN(auto item, at(version, sizeof(Elf64_Verdaux), "a version definition"));
        Reader aux(item);
        if (aux.u32() >= file_.strings.size)
          return elf_error("a version's name lies outside the string table", version);
        step = aux.u32();
      }
    }
    return {};
  }

  ElfSource& source_;
  ElfFile& file_;
  std::uint64_t used_symbols_ = 0;    // by relocations
  std::uint64_t hashed_symbols_ = 0;  // by hash tables
};

}  // namespace

Error elf_error(std::string reason, std::uint64_t offset) {
  return Error{ErrorCode::kImage, std::move(reason), {}, {}, offset};
}

Result<ElfTable> elf_table(const ElfFile& file, std::int64_t address_tag, std::int64_t size_tag, const char* what) {
  const ElfDynamicEntry* address = find_entry(file, address_tag);
  const ElfDynamicEntry* size = find_entry(file, size_tag);
  if (!address || !size || size->value == 0) return ElfTable{};
  const auto offset = file.offset_of(address->value, size->value);
  if (!offset) return elf_error(std::string(what) + " lies in no segment", address->offset);
  return ElfTable{address->value, *offset, size->value};
}

Result<std::string> elf_string(ElfSource& source, const ElfFile& file, std::uint64_t index, std::uint64_t longest) {
  if (index >= file.strings.size) return elf_error("a name lies outside the string table", file.strings.offset);
  const std::uint64_t size = std::min({file.strings.size - index, longest});
  INTACT_ASSIGN(auto bytes, source.at(file.strings.offset + index, size));
  const void* end = std::memchr(bytes.data(), 0, bytes.size());
  if (!end) return elf_error("a name without an end, or one that is too long", file.strings.offset + index);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  return std::string(text, static_cast<const char*>(end));
}

Result<void> check_elf_tables(ElfSource& source, ElfFile& file) { return TableChecker(source, file).check(); }

}  // namespace intact
