// What main() asks before it runs the tests. Thread: main.
#pragma once

#include <optional>

namespace amphi::end_to_end {

/// The body of a program that a test started from its own executable; nullopt: the tests are meant. nullptr: no test does so. A file that
/// does sets it before main().
inline std::optional<int> (*run_instead_of_tests)(int argc, char** argv) = nullptr;

}  // namespace amphi::end_to_end
