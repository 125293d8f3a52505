// expect: a scorer needs template <auto My> static void score(input, kit<My>, logits)
#include <prytany/router/scored.hpp>
#include <prytany/router/top_k.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
scored<top_k, top_k> const router{};
#else
scored<linear, top_k> const router{};
#endif
