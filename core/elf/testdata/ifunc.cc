// A function that is chosen while the object is loaded. The one that chooses uses the object's own text, so that text
// must be there by then.

namespace {

int answer() { return 42; }
int wrong() { return 0; }

const char key[] = "chosen by reading this object's own constants";

}  // namespace

extern "C" {
typedef int Answer();
__attribute__((noinline)) Answer* choose() {
  unsigned sum = 0;
  for (const char* at = key; *at; ++at) sum += static_cast<unsigned char>(*at);
  return sum > 100 ? &answer : &wrong;
}
__attribute__((visibility("default"), ifunc("choose"))) int chosen();
__attribute__((visibility("default"))) int call_chosen() { return chosen(); }
}
