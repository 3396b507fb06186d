"""The contract between participants and the aggregator: values and bytes, no I/O.

Everything that crosses the wire is defined here once: tensor specifications (`tensors`), the byte
format of weights and reports (`codec`), the task manifest (`manifest`), request and response bodies
(`messages`, `registry_messages`), problem slugs (`problems`) and the fixed-point grid (`fixed_point`).
"""
