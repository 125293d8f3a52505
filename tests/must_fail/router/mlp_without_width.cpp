// expect: mlp: the hidden layer has at least one number
#include <prytany/kernel/activation.hpp>
#include <prytany/router/score/mlp.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr mlp scores{gelu, 0};
#else
constexpr mlp scores{gelu, 1};
#endif

auto const score = &kind_of<scores>::score<scores>;

int main() {}
