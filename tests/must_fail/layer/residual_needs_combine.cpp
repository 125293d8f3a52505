// expect: a residual policy needs combine(params, input, sum, carry&, output) const
#include <prytany/layer/residual/concept.hpp>

using namespace prytany;

struct keep {
    struct params {};
    struct carry : carry_sizes {
        void lay_out(arena&, index_t, index_t) {}
        void start() {}
        carry part(index_t, index_t) const { return *this; }
    };
#if !defined(PRYTANY_MUST_FAIL)
    void combine(params const&, matrix_view<float const>, matrix_view<float const>, carry&,
                 matrix_view<float>) const noexcept {}
#endif
};

static_assert(residual_policy<keep>);

int main() {}
