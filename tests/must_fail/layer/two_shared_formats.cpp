// expect: moe: shared_as is given twice; keep one
#include <prytany/prytany.hpp>

using namespace prytany;

constexpr shape size{.model = 8, .hidden = 4, .experts = 6, .shared = 1};

#if defined(PRYTANY_MUST_FAIL)
using layer =
    moe<size, top_k{.k = 2}, ffn{swiglu}, shared_as{dense<bf16>{}}, shared_as{dense<f16>{}}>;
#else
using layer = moe<size, top_k{.k = 2}, ffn{swiglu}, shared_as{dense<bf16>{}}>;
#endif

static_assert(sizeof(layer) > 0);
