// expect: a scorer needs template <auto My> static void score(input, kit<My>, logits)
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using layer = merged<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}>;
#else
using layer = merged<shape{8, 4, 6}, linear{}, ffn{swiglu}>;
#endif

static_assert(sizeof(layer) > 0);

int main() {}
