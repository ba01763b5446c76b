package kinds

import (
	"slices"
)

var sparkOperatorKinds = slices.Concat(
	of(
		"Spark Operator (Kubeflow)",
		"spark-operator, api/v1beta2/sparkapplication_types.go and scheduledsparkapplication_types.go",
		Kind{
			Group: "sparkoperator.k8s.io", Kind: "SparkApplication", Controller: sparkController,
			pods: func() []PodPaths { return sparkRoles("spec") }, Limits: sparkOperatorLimits,
		},
		Kind{
			Group: "sparkoperator.k8s.io", Kind: "ScheduledSparkApplication", Deferred: true, Controller: sparkController,
			pods: func() []PodPaths { return sparkRoles("spec.template") }, Limits: sparkOperatorLimits,
		},
	),
	of(
		"Spark Operator (Kubeflow)",
		"spark-operator, api/v1alpha1/sparkconnect_types.go and internal/controller/sparkconnect",
		Kind{Group: "sparkoperator.k8s.io", Kind: "SparkConnect", pods: func() []PodPaths {
			executor := sparkTemplate(
				"spec.executor.template", "$.spec.sparkConf", sparkExecutorLabel, "$.spec.executor.instances",
			)
			executor.Conf = sparkConf("$.spec.sparkConf", "executor", "spec.containers[*]")
			return []PodPaths{sparkTemplate("spec.server.template", "$.spec.server.template.metadata.labels", ""), executor}
		}},
	),
)

var sparkController = Controller{
	Labels: []string{"sparkoperator.k8s.io/app-name", "spark-role"}, LabelsSource: "Spark operator, pkg/common/spark.go",
}

const sparkOperatorLimits = "The operator's own webhook puts volumes and mounts into the pods: it must be on. " +
	"Further containers in the template of a driver or executor get no mount."

// sparkRoles are the row parts of a SparkApplicationSpec. A Spark driver or executor has no pod
// template: it is a container and a pod in one, and its volumes stand beside it.
func sparkRoles(application string) []PodPaths {
	return []PodPaths{sparkRole(application, "driver"), sparkRole(application, "executor", "instances")}
}

func sparkRole(application, role string, replicas ...string) PodPaths {
	return PodPaths{
		Scope:           application + "." + role,
		Metadata:        []string{".", "template.metadata"},
		Spec:            ".",
		SecurityContext: []string{"podSecurityContext"},
		Affinity:        []string{"affinity"},
		Volumes:         "$." + application + ".volumes",
		Containers:      []string{"initContainers[*]", ".", "sidecars[*]"},
		Names:           map[string]string{".": "spark-kubernetes-" + role},
		Replicas:        replicas,
		ProjectPaths:    ProjectPaths{Conf: sparkConf("$."+application+".sparkConf", role, ".")},
	}
}

// sparkConf is where Spark's configuration mounts volumes into the pods of a role.
func sparkConf(path, role, containers string) *Conf {
	return &Conf{Path: path, Prefix: "spark.kubernetes." + role + ".", Containers: containers}
}

// What begins the keys of Spark's configuration that put labels on its pods. Source: Spark,
// docs/running-on-kubernetes.md.
const (
	sparkDriverLabel   = "spark.kubernetes.driver.label."
	sparkExecutorLabel = "spark.kubernetes.executor.label."
)

// sparkTemplate is the row part of a pod template that Spark or its operator completes: where it
// lists no container, they add one, and where it is not written, they make the pod without it.
func sparkTemplate(scope, labels, labelPrefix string, replicas ...string) PodPaths {
	t := template(scope, replicas...)
	t.Labels, t.LabelPrefix, t.Implied = labels, labelPrefix, true
	t.Why = "the pod template lists no containers, so that Spark adds its own"
	return t
}

// The kinds of Apache's own operator. A label goes into sparkConf, because a podTemplateSpec would
// take the place of a podTemplateFile that sparkConf names.
// Source: spark-kubernetes-operator, docs/spark_custom_resources.md.
var apacheSparkKinds = of("Apache Spark Kubernetes Operator",
	"spark-kubernetes-operator, docs/spark_custom_resources.md and SparkClusterResourceSpec.java",
	Kind{Group: "spark.apache.org", Kind: "SparkApplication", pods: func() []PodPaths {
		return []PodPaths{apacheSparkRole("driver", sparkDriverLabel), apacheSparkRole("executor", sparkExecutorLabel)}
	}, Limits: "A pod template without containers gets the label instead of the mount."},
	Kind{Group: "spark.apache.org", Kind: "SparkCluster", pods: func() []PodPaths {
		return []PodPaths{
			sparkNode("spec.masterSpec.statefulSetSpec", "master"),
			sparkNode("spec.workerSpec.statefulSetSpec", "worker", "$.spec.clusterTolerations.instanceConfig.initWorkers"),
		}
	}, Limits: "When the templates do not list the containers master and worker, the operator adds them. Then the " +
		"pods get the label instead of the mount."},
)

func apacheSparkRole(role, labelPrefix string) PodPaths {
	t := sparkTemplate("spec."+role+"Spec.podTemplateSpec", "$.spec.sparkConf", labelPrefix)
	t.Conf = sparkConf("$.spec.sparkConf", role, "spec.containers[*]")
	return t
}

func sparkNode(statefulSet, container string, replicas ...string) PodPaths {
	t := sparkTemplate(statefulSet+".template", "$."+statefulSet+".template.metadata.labels", "", replicas...)
	t.ClaimTemplates = "$." + statefulSet + ".volumeClaimTemplates"
	t.Adds = container
	t.Why = "the operator adds the container " + container + " when the template does not list it"
	return t
}
