// expect: x_moe: the width of the projection is at least 1
#include <prytany/router/score/x_moe.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr x_moe scores{.width = 0};
#else
constexpr x_moe scores{.width = 1};
#endif

auto const score = &kind_of<scores>::score<scores>;

int main() {}
