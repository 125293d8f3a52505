// expect: soft: two weight formats are given; keep one
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using layer = soft<shape{8, 4, 6}, ffn{swiglu}, dense<bf16>{}, dense<f16>{}>;
#else
using layer = soft<shape{8, 4, 6}, ffn{swiglu}, dense<bf16>{}>;
#endif

static_assert(sizeof(layer) > 0);

int main() {}
