// SPDX-License-Identifier: Apache-2.0
// check_history: reads a history from standard input, writes a line per violation. Exits 0 if there is none, 1 if there
// are, 2 if it cannot read.
#include <iostream>

#include "tests/support/read_history.hpp"

int main() {
  auto seen = troupe::test::read_history(std::cin);
  if (!seen) {
    std::cerr << "check_history: " << seen.error() << '\n';
    return 2;
  }
  auto faults = troupe::test::check_history(*seen);
  for (auto& fault : faults)
    std::cout << fault << '\n';
  return faults.empty() ? 0 : 1;
}
