"""The Kubernetes manifests: valid by Kubernetes' own schemas, true to each other and to the service."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import sqlalchemy as sa
import yaml

from service.access.bodies import STREAM_PATH
from service.app import create_app
from service.options import ServiceOptions
from tickets.errors import ContractError, InputError, LockedError, MachineError, ReleaseError, WorkspaceError
from tickets.workspace import Workspace

Manifests = dict[str, dict[str, Any]]
FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
FILES = sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    spec = manifest["spec"]
    return dict((spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec)["template"]["spec"])


@pytest.fixture(params=["deployment.yaml", "cronjob.yaml"])
def pod(request: pytest.FixtureRequest, manifests: Manifests) -> dict[str, Any]:
    return pod_of(manifests[request.param])


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
def test_every_manifest_is_valid(manifests: Manifests, version: str) -> None:
    for name in FILES:
        kubernetes_validate.validate(manifests[name], version, strict=True)


def test_a_mistake_would_be_found(manifests: Manifests) -> None:
    wrong = {**manifests["service.yaml"], "spec": {"ports": [{"port": "eighty"}]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_all_but_the_example_secret_is_applied(manifests: Manifests) -> None:
    listed = manifests["kustomization.yaml"]["resources"]
    assert sorted(listed) == [name for name in FILES if name != "secret.example.yaml"]


def test_kustomize_puts_everything_into_one_namespace(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, check=True)
    made = list(yaml.safe_load_all(done.stdout))
    assert len(made) == len(FILES) - 1
    assert {one["metadata"].get("namespace") for one in made if one["kind"] != "Namespace"} == {"ticket-triage"}
    images = [
        box["image"] for one in made if one["kind"] in {"Deployment", "CronJob"} for box in pod_of(one)["containers"]
    ]
    assert sorted(images) == ["ticket-triage-batch:0.1.0", "ticket-triage:0.1.0"]


def test_pods_meet_the_restricted_standard_and_write_to_volumes_alone(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert not pod["automountServiceAccountToken"]
    (box,) = pod["containers"]
    assert box["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in box["volumeMounts"]} == {"/var/lib/triage", "/tmp"}
    assert {mount["name"] for mount in box["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert box["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in box["resources"]["limits"]


def test_kubernetes_sets_no_triage_variables_of_its_own(pod: dict[str, Any]) -> None:
    """A Service named triage would otherwise set TRIAGE_PORT=tcp://10.0.0.1:80 in every pod."""
    assert pod["enableServiceLinks"] is False


def test_what_pods_refer_to_is_there(pod: dict[str, Any], manifests: Manifests) -> None:
    named = {(one["kind"], one["metadata"]["name"]) for name, one in manifests.items() if name in FILES}
    (box,) = pod["containers"]
    wanted = {("ServiceAccount", pod["serviceAccountName"])}
    wanted |= {("ConfigMap", one["configMapRef"]["name"]) for one in box["envFrom"] if "configMapRef" in one}
    wanted |= {("Secret", one["secretRef"]["name"]) for one in box["envFrom"] if "secretRef" in one}
    claims = [one["persistentVolumeClaim"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
    wanted |= {("PersistentVolumeClaim", claim["claimName"]) for claim in claims}
    assert len(wanted) == 4
    assert wanted <= named


def test_everything_that_selects_finds_the_service(manifests: Manifests) -> None:
    labels = manifests["deployment.yaml"]["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        manifests["deployment.yaml"]["spec"]["selector"]["matchLabels"],
        manifests["service.yaml"]["spec"]["selector"],
        manifests["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"],
        manifests["networkpolicy.yaml"]["spec"]["podSelector"]["matchLabels"],
        *(
            one["labelSelector"]["matchLabels"]
            for one in pod_of(manifests["deployment.yaml"])["topologySpreadConstraints"]
        ),
    ]
    assert all(selector.items() <= labels for selector in selectors)
    jobs = manifests["cronjob.yaml"]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert not manifests["service.yaml"]["spec"]["selector"].items() <= jobs.items(), "no request goes to a job"
    scaled = manifests["horizontalpodautoscaler.yaml"]["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", manifests["deployment.yaml"]["metadata"]["name"])


def test_probes_and_ports_are_the_services(manifests: Manifests, tmp_path: Path) -> None:
    app = create_app(Workspace.create(tmp_path / "w"), sa.create_engine("sqlite://"))
    paths = set(app.openapi()["paths"])
    (box,) = pod_of(manifests["deployment.yaml"])["containers"]
    assert {box[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")} <= paths
    assert box["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert box["livenessProbe"]["httpGet"]["path"] == "/livez", "a database that is away must not restart the service"
    (port,) = box["ports"]
    dockerfile = (FOLDER.parent / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert f"TRIAGE_PORT={port['containerPort']}\n" in dockerfile
    assert manifests["service.yaml"]["spec"]["ports"][0]["targetPort"] == port["name"]


def test_a_stream_passes_the_ingress_whole_and_as_it_comes(manifests: Manifests) -> None:
    found = manifests["ingress-stream.yaml"]
    told = {name.rpartition("/")[2]: value for name, value in found["metadata"]["annotations"].items()}
    assert (told["proxy-body-size"], told["proxy-request-buffering"], told["proxy-buffering"]) == ("0", "off", "off")
    assert int(told["proxy-read-timeout"]) > ServiceOptions().stream_stall_seconds
    (rule,) = found["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == [STREAM_PATH]
    (other,) = manifests["ingress.yaml"]["spec"]["rules"]
    assert rule["host"] == other["host"]


def test_settings_have_names_that_the_product_reads(manifests: Manifests, settings: set[str]) -> None:
    variables = {*manifests["configmap.yaml"]["data"], *manifests["secret.example.yaml"]["stringData"]}
    for name in ("deployment.yaml", "cronjob.yaml"):
        (box,) = pod_of(manifests[name])["containers"]
        variables |= {one["name"] for one in box.get("env", ())}
    assert variables <= settings


def test_a_pod_infers_on_as_many_cores_as_it_asks_for(manifests: Manifests) -> None:
    (box,) = pod_of(manifests["deployment.yaml"])["containers"]
    assert manifests["configmap.yaml"]["data"]["TRIAGE_THREADS"] == box["resources"]["requests"]["cpu"]


def test_a_pod_has_time_to_drain(manifests: Manifests) -> None:
    pod = pod_of(manifests["deployment.yaml"])
    command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
    (waits,) = re.findall(r"sleep\((\d+)\)", command)
    data = manifests["configmap.yaml"]["data"]
    needed = int(waits) + float(data["TRIAGE_DRAIN_SECONDS"]) + float(data["TRIAGE_SERVICE__STOP_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] >= needed + 10


def test_nights_never_overlap(manifests: Manifests) -> None:
    spec = manifests["cronjob.yaml"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 24 * 3600


def test_a_night_waits_in_its_container_for_who_holds_the_workspace(manifests: Manifests, deploy: Path) -> None:
    (box,) = pod_of(manifests["cronjob.yaml"])["containers"]
    assert box["command"] == ["tini", "--", "one-night"]
    assert "args" not in box
    assert "/usr/local/bin/one-night" in (deploy / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_a_night_is_tried_again_unless_a_person_must_mend_something(manifests: Manifests) -> None:
    job = manifests["cronjob.yaml"]["spec"]["jobTemplate"]["spec"]
    actions = {
        code: rule["action"] for rule in job["podFailurePolicy"]["rules"] for code in rule["onExitCodes"]["values"]
    }
    mended = {InputError, WorkspaceError, ReleaseError, ContractError}
    assert {code for code, action in actions.items() if action == "FailJob"} == {error.exit_code for error in mended}
    assert {code for code, action in actions.items() if action == "Count"} == {
        MachineError.exit_code,
        LockedError.exit_code,
    }
    assert job["backoffLimit"] > 1
