// expect: an expert needs a nested template <auto Format> struct weights: its matrices
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using layer = soft<shape{8, 4, 6}, top_k{.k = 2}>;
#else
using layer = soft<shape{8, 4, 6}, ffn{swiglu}>;
#endif

static_assert(sizeof(layer) > 0);

int main() {}
