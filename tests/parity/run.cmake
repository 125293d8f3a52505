# What parity says of folders with one thing wrong, beside a good one, and of wrong use:
# -D parity=… -D spoil=… -D golden=… -D work=… -P run.cmake
cmake_minimum_required(VERSION 3.25)

# expect(<exit code> <pattern> <argument…>)
function(expect code pattern)
    execute_process(COMMAND ${parity} ${ARGN}
        RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE complaint)
    string(APPEND text "${complaint}")
    if(NOT result EQUAL code OR NOT text MATCHES "${pattern}")
        message(FATAL_ERROR "parity ${ARGN}: expected exit code ${code} and ${pattern}, "
            "got ${result} and\n${text}")
    endif()
endfunction()

# wrong(<kind> <pattern>): the spoiled folder is told, and the good one after it still runs.
function(wrong kind pattern)
    set(folder ${work}/${kind})
    execute_process(COMMAND ${spoil} ${golden}/mixtral ${folder} ${kind} COMMAND_ERROR_IS_FATAL ANY)
    expect(1 "/${kind} +${pattern}[^\n]*\n[^\n]*/olmoe [^\n]*  ok\n1 of 2 agree\n"
        ${folder} ${golden}/olmoe)
endfunction()

wrong(weight "mixtral +equal [^\n]* output: expected NMSE of at most 1e-12, got [0-9.e-]+")
wrong(missing "[^\n]*: missing model.layers.[0-9]+.block_sparse_moe.experts.0.w1.weight for expert.0.gate")
wrong(truncated "[^\n]*model.safetensors: [^\n]*expected [^\n]* got ")
wrong(id "mixtral +other [^\n]* ids of token 0: expected [0-9 ]+, got [0-9 ]+. the router's logits differ by ")
wrong(out_of_range "[^\n]*expected.safetensors: ids: expected experts from 0 to 7, got -")
wrong(slot_weight "mixtral +equal +1.0e-03 [^\n]* weights: expected at most 2e-06, got 1.0e-03")
wrong(family "[^\n]*config.json: model_type: expected one of mixtral, [^\n]*, got \"?unmixtral")
wrong(size "[^\n]*: expected \\[[0-9]+, 164\\][^\n]*, got F32 ")
wrong(no_json "[^\n]*config.json: expected a JSON object, got ")
wrong(no_expected "[^\n]*expected.safetensors: expected a file ")

expect(1 "/nowhere: expected " ${work}/nowhere)
expect(2 "usage: parity FOLDER")
expect(2 "usage: parity FOLDER" --fast)
expect(0 "usage: parity FOLDER" --help)
