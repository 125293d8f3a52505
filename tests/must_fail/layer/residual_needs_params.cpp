// expect: a residual policy needs a nested params struct: its run-time numbers, all
#include <prytany/layer/residual/concept.hpp>

using namespace prytany;

struct keep {
#if defined(PRYTANY_MUST_FAIL)
    struct numbers {};
#else
    struct params {};
#endif
    struct carry : carry_sizes {
        void lay_out(arena&, index_t, index_t) {}
        void start() {}
        carry part(index_t, index_t) const { return *this; }
    };
    template <class Params> // there may be none
    void combine(Params const&, matrix_view<float const>, matrix_view<float const>, carry&,
                 matrix_view<float>) const noexcept {}
};

static_assert(residual_policy<keep>);

int main() {}
