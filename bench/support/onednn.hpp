// SPDX-License-Identifier: MIT
// One product of oneDNN: an inner product, made for a number of rows.
#pragma once

#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>

#include "prytany/core/buffer.hpp"

namespace bench {

using namespace prytany;

/// Keeps oneDNN's own threads out: every thread that calls it says so for itself.
inline void one_thread_here() { omp_set_num_threads(1); }

/// y [rows, outputs] = x [rows, inputs] · W^T; several threads may run one at the same time.
class one_product {
public:
    /// `any`: weights in the layout that oneDNN chooses for so many rows.
    one_product(index_t rows, index_t inputs, index_t outputs, bool any)
        : one_product(rows, inputs, outputs,
                      desc({outputs, inputs}, type::f32, any ? tag::any : tag::ab)) {}
    one_product(index_t rows, index_t inputs, index_t outputs, dnnl::memory::desc const& weights)
        : outputs_(outputs), inputs_(inputs) {
        dnnl::primitive_attr attributes;
        attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
        made_ = {{dnnl::prop_kind::forward_inference, desc({rows, inputs}, type::f32, tag::ab),
                  weights, desc({rows, outputs}, type::f32, tag::ab)},
                 attributes,
                 engine()};
        run_ = dnnl::inner_product_forward(made_);
    }
    dnnl::memory::desc weights() const { return made_.weights_desc(); }
    /// Weights [outputs, inputs] in the layout that this product reads.
    buffer<float> pack(float const* from) const {
        auto const layout = weights();
        buffer<float> packed(static_cast<index_t>(layout.get_size() / sizeof(float)));
        dnnl::memory plain(desc({outputs_, inputs_}, type::f32, tag::ab), engine(),
                           const_cast<float*>(from)),
            to(layout, engine(), packed.data());
        dnnl::stream stream(engine());
        dnnl::reorder(plain, to).execute(stream, plain, to);
        stream.wait();
        return packed;
    }
    void run(float const* x, float const* weights, float* y) const {
        thread_local buffer<unsigned char> scratch;
        thread_local dnnl::stream stream(engine());
        auto const needed = static_cast<index_t>(made_.scratchpad_desc().get_size());
        if (scratch.size() < needed) scratch = buffer<unsigned char>(needed);
        run_.execute(
            stream,
            {{DNNL_ARG_SRC, {made_.src_desc(), engine(), const_cast<float*>(x)}},
             {DNNL_ARG_WEIGHTS, {made_.weights_desc(), engine(), const_cast<float*>(weights)}},
             {DNNL_ARG_DST, {made_.dst_desc(), engine(), y}},
             {DNNL_ARG_SCRATCHPAD,
              {made_.scratchpad_desc(), engine(), needed > 0 ? scratch.data() : nullptr}}});
        stream.wait();
    }

private:
    using desc = dnnl::memory::desc;
    using type = dnnl::memory::data_type;
    using tag = dnnl::memory::format_tag;

    index_t outputs_, inputs_;
    dnnl::inner_product_forward::primitive_desc made_;
    dnnl::inner_product_forward run_;

    static dnnl::engine const& engine() {
        static dnnl::engine const one(dnnl::engine::kind::cpu, 0);
        return one;
    }
};

} // namespace bench
