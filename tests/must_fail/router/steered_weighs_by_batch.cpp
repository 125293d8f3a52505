// expect: a set can only be weighed by a router that sees single tokens
#include <prytany/router/expert_choice.hpp>
#include <prytany/router/steered.hpp>
#include <prytany/router/top_k.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr steered router{expert_choice{}};
#else
constexpr steered router{top_k{.k = 2}};
#endif

auto const chosen = &kind_of<router>::select<router>;

int main() {}
