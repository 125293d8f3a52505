// expect: a residual policy needs a nested carry, derived from carry_sizes, with
#include <prytany/layer/residual/concept.hpp>

using namespace prytany;

struct keep {
    struct params {};
#if defined(PRYTANY_MUST_FAIL)
    struct carry {
#else
    struct carry : carry_sizes {
#endif
        void lay_out(arena&, index_t, index_t) {}
        void start() {}
        carry part(index_t, index_t) const { return *this; }
    };
    void combine(params const&, matrix_view<float const>, matrix_view<float const>, carry&,
                 matrix_view<float>) const noexcept {}
};

static_assert(residual_policy<keep>);

int main() {}
