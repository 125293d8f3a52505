// expect: merged: an option for an aspect that this layer does not have
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using layer = merged<shape{8, 4, 6}, linear{}, ffn{swiglu}, dense<bf16>{}, capacity{}>;
#else
using layer = merged<shape{8, 4, 6}, linear{}, ffn{swiglu}, dense<bf16>{}>;
#endif

static_assert(sizeof(layer) > 0);

int main() {}
