package app

// What the program needs, for controller-gen, which writes config/rbac/role.yaml and
// config/webhook/manifests.yaml from it (make generate). The chart has the same rights, with the reason of
// every verb; test/chart compares the two. In policy mode the program reads policies in place of webhooks:
// config/policy.

// The cluster.
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=persistentvolumes,verbs=get;list;patch
// +kubebuilder:rbac:groups=storage.k8s.io,resources=storageclasses,verbs=get;create
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,verbs=get;list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,resourceNames=pipeline-storage.pipeline-storage,verbs=patch

// The program's own namespace.
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=create,namespace=pipeline-storage,roleName=pipeline-storage
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=pipeline-storage,verbs=get;update;patch,namespace=pipeline-storage,roleName=pipeline-storage
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch,namespace=pipeline-storage,roleName=pipeline-storage
// +kubebuilder:rbac:groups="",resources=secrets,verbs=create,namespace=pipeline-storage,roleName=pipeline-storage
// +kubebuilder:rbac:groups="",resources=secrets,resourceNames=pipeline-storage-webhook-ca,verbs=get;watch;update,namespace=pipeline-storage,roleName=pipeline-storage

// The webhook. Selectors and conditions are no markers: config/webhook/kustomization.yaml adds them.
// +kubebuilder:webhookconfiguration:mutating=true,name=pipeline-storage.pipeline-storage
// +kubebuilder:webhook:name=storage.pipeline-storage.io,path=/inject,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups="",resources=pods,verbs=create,versions=v1,admissionReviewVersions=v1,reinvocationPolicy=IfNeeded,serviceName=pipeline-storage,serviceNamespace=pipeline-storage,servicePort=443
// +kubebuilder:webhook:name=pod-selector.storage.pipeline-storage.io,path=/inject/pod-selector,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups="",resources=pods,verbs=create,versions=v1,admissionReviewVersions=v1,reinvocationPolicy=IfNeeded,serviceName=pipeline-storage,serviceNamespace=pipeline-storage,servicePort=443
// +kubebuilder:webhook:name=namespace.storage.pipeline-storage.io,path=/inject/namespace,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups="",resources=pods,verbs=create,versions=v1,admissionReviewVersions=v1,reinvocationPolicy=IfNeeded,serviceName=pipeline-storage,serviceNamespace=pipeline-storage,servicePort=443
