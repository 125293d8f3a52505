// expect: a layer needs sizes(): its shape as plain data
#include <prytany/prytany.hpp>

using namespace prytany;

constexpr light_experts router{top_k{.k = 2}};

#if defined(PRYTANY_MUST_FAIL)
using layer = mixed<light_experts<top_k>>;
#else
using layer = mixed<moe<shape{8, 4, 6}, router, ffn{swiglu}>>;
#endif

static_assert(sizeof(layer) > 0);

int main() {}
