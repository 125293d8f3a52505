// expect: a layer needs scratch and lay_out(scratch, arena, tokens, workers)
#include <prytany/layer/concept.hpp>

using namespace prytany;

struct idle {
    shape sizes() const { return {}; }
    template <class Visit>
    void for_each_tensor(Visit&&) const {}
#if !defined(PRYTANY_MUST_FAIL)
    struct scratch {};
    void lay_out(scratch&, arena&, index_t, index_t) const {}
#endif
    template <class X, class Observer = unobserved>
    void forward(input const&, matrix_view<float>, workspace&, X&&, Observer&& = {}) const {}
};

static_assert(moe_layer<idle>);
