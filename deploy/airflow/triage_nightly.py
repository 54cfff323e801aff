"""An example DAG: the nightly job on Airflow 2.9 or newer, by the batch image on Kubernetes.

Copy it into Airflow's DAG folder. `triage nightly` is one task on purpose: its steps share a lock and a Spark session,
pass over what is done when they are run again, and leave their own record (nightly/<date>.json). Exit code 75 says that
another run holds the workspace, so a failed task is tried again; docs/runbook.md has the others.
"""

from __future__ import annotations

import datetime as dt

from airflow import DAG
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.timetables.interval import CronDataIntervalTimetable
from kubernetes.client import models as k8s

NAMESPACE = "ticket-triage"
IMAGE = "ticket-triage-batch:0.1.0"

workspace = k8s.V1Volume(
    name="workspace", persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource(claim_name="workspace")
)
scratch = k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="20Gi"))

with DAG(
    dag_id="triage_nightly",
    description="Feedback into the lake, features, backlog, drift, labels, and a retraining when there is reason to.",
    schedule=CronDataIntervalTimetable("30 1 * * *", timezone="UTC"),
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 4, "retry_delay": dt.timedelta(minutes=15), "execution_timeout": dt.timedelta(hours=10)},
    tags=["ticket-triage"],
) as dag:
    KubernetesPodOperator(
        task_id="nightly",
        name="triage-nightly",
        namespace=NAMESPACE,
        image=IMAGE,
        # The day that has ended: the interval begins on it.
        arguments=["--verbose", "nightly", "--as-of", "{{ data_interval_start | ds }}"],
        env_from=[
            k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name="ticket-triage")),
            k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name="ticket-triage")),
        ],
        volumes=[workspace, scratch],
        volume_mounts=[
            k8s.V1VolumeMount(name="workspace", mount_path="/var/lib/triage"),
            k8s.V1VolumeMount(name="tmp", mount_path="/tmp"),
        ],
        container_resources=k8s.V1ResourceRequirements(
            requests={"cpu": "2", "memory": "6Gi"}, limits={"memory": "10Gi"}
        ),
        on_finish_action="delete_succeeded_pod",
        get_logs=True,
    )
