#include "core/base/lazy.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace intact {
namespace {

TEST(Lazy, IsMadeOnceAndStays) {
  const Lazy<std::string> lazy;
  int made = 0;
  const auto make = [&] { return std::string(100, static_cast<char>('a' + made++)); };
  const std::string& first = lazy.get(make);
  EXPECT_EQ(&lazy.get(make), &first);
  EXPECT_EQ(first, std::string(100, 'a'));
  EXPECT_EQ(made, 1);
}

TEST(Lazy, ThreadsThatAskAtOnceAreGivenTheSame) {
  for (int round = 0; round < 200; ++round) {
    const Lazy<std::string> lazy;
    std::vector<const std::string*> given(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < given.size(); ++i) {
      threads.emplace_back(
          [&, i] { given[i] = &lazy.get([i] { return std::string(100, static_cast<char>('a' + i)); }); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string* each : given) EXPECT_EQ(each, given.front());
    EXPECT_EQ(*given.front(), std::string(100, given.front()->front()));
  }
}

}  // namespace
}  // namespace intact
