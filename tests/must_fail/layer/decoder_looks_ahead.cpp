// expect: decoder: this router looks at later tokens, which a decoder does not have yet
#include <prytany/layer/decoder.hpp>
#include <prytany/prytany.hpp>

using namespace prytany;

/// Chooses the first expert, and says that it has seen whether tokens come later.
struct ahead : top_k {
#if defined(PRYTANY_MUST_FAIL)
    constexpr promises promise() const { return {.sees = scope::batch, .causal = false}; }
#endif
};

using layer = moe<shape{8, 4, 6}, ahead{{.k = 2}}, ffn{swiglu}>;

static_assert(sizeof(decoder<layer>) > 0);
