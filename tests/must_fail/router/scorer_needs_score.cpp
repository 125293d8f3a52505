// expect: a scorer needs template <auto My> static void score(input, kit<My>, logits)
#include <prytany/router/concept.hpp>

using namespace prytany;

struct zero {
#if !defined(PRYTANY_MUST_FAIL)
    template <auto My>
    static void score(input const&, kit<My>, matrix_view<float> logits) noexcept {
        for (index_t t = 0; t < logits.rows; ++t)
            for (index_t e = 0; e < logits.cols; ++e) logits.row(t)[e] = 0;
    }
#endif
};

static_assert(scorer<zero>);
