"""What a node of a cluster says of itself. It travels there as code, since nobody knows yet whether evalkit is there."""

from __future__ import annotations

from typing import Any


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Look at the machine that this runs on.

    Parameters
    ----------
    asked : dict
        ``evalkit``, the version that is wanted; ``generator``, its name or empty; ``settings`` of it; names of
        ``evaluators``.

    Returns
    -------
    dict
        ``python``, ``ray``, and ``evalkit``, their versions there; None where evalkit is not there. Where it is the version
        that is asked for, also ``machine``, as `evalkit.profiling.machine.describe_machine` with all GPUs; ``of_one_gpu``, the same with
        one of them; ``findings`` as plain data of `pipeline.diagnosis.Diagnosis`; ``evaluators`` by name: ``version``, or
        ``problem``, why it cannot be used; and of the generator its ``version``, None where it does not load.
    """
    import platform

    import ray

    try:
        from evalkit import __version__ as version
    except ImportError:
        version = None  # type: ignore[assignment]  # it is the other one where this is checked
    found = {"python": platform.python_version(), "ray": ray.__version__, "evalkit": version}
    if version != asked["evalkit"]:  # another one need not have what is asked for
        return found
    from evalkit.evaluators.load import evaluator_class
    from evalkit.execution.diagnosis import diagnose_generator, diagnose_temporary_folder
    from evalkit.profiling.machine import describe_machine
    from pipeline import plugins
    from pipeline.diagnosis import stop
    from pipeline.errors import RequestError
    from pipeline.extras import find_obstacle

    findings = [diagnose_temporary_folder()]
    generator_version = None
    if asked["generator"]:
        try:
            findings += diagnose_generator(asked["generator"], asked["settings"])
            kind = plugins.load_plugin(plugins.GENERATORS, asked["generator"])
            generator_version = str(getattr(kind, "version", ""))
        except plugins.PluginError:
            pass  # it is among the findings
        except RequestError as error:
            findings.append(stop("plug-in", str(error), "install it there"))
    evaluators = {}
    for name in asked["evaluators"]:
        try:
            evaluator = evaluator_class(name)
            evaluators[name] = {"version": str(evaluator.version), "problem": find_obstacle(evaluator)}
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what stands in the way there
            evaluators[name] = {"version": "", "problem": str(error)}
    return {
        **found,
        "machine": describe_machine({}),
        "of_one_gpu": describe_machine({"CUDA_VISIBLE_DEVICES": "0"}),
        "findings": [finding.to_dict() for finding in findings],
        "generator": generator_version,
        "evaluators": evaluators,
    }
