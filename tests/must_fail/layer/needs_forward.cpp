// expect: a layer needs forward(input, rows, workspace, pool[, observer]) const
#include <prytany/layer/concept.hpp>

using namespace prytany;

struct idle {
    shape sizes() const { return {}; }
    template <class Visit>
    void for_each_tensor(Visit&&) const {}
    struct scratch {};
    void lay_out(scratch&, arena&, index_t, index_t) const {}
#if !defined(PRYTANY_MUST_FAIL)
    template <class X, class Observer = unobserved>
    void forward(input const&, matrix_view<float>, workspace&, X&&, Observer&& = {}) const {}
#endif
};

static_assert(moe_layer<idle>);
