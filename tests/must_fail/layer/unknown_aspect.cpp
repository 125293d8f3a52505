// expect: moe: an option for an aspect that this layer does not have
#include <prytany/prytany.hpp>

using namespace prytany;

struct input_gate {
    using aspect = gate_aspect;
};

#if defined(PRYTANY_MUST_FAIL)
using layer = moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}, dense<bf16>{}, input_gate{}>;
#else
using layer = moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}, dense<bf16>{}>;
#endif

static_assert(sizeof(layer) > 0);
