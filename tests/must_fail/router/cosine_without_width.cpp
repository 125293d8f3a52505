// expect: cosine: the width of the projection is at least 1
#include <prytany/router/score/cosine.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr cosine scores{.width = 0};
#else
constexpr cosine scores{.width = 1};
#endif

auto const score = &kind_of<scores>::score<scores>;

int main() {}
