// expect: a layer needs sizes(): its shape as plain data
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using layer = stepped<top_k, plain{}>;
#else
using layer = stepped<moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}>, plain{}>;
#endif

static_assert(sizeof(layer) > 0);

int main() {}
