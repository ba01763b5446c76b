package inject

// checkUserNamespace finds a pod with a user namespace of its own on a backend without idmapped
// mounts: the container runtime does not start its containers.
// Source: Kubernetes, User Namespaces, "Before you begin"; runc, libcontainer/mount_linux.go.
func (p *podPatch) checkUserNamespace(profile *chosenProfile) {
	if fileSystem := profile.Backend().NoIDMap; p.pod.UserNamespace && fileSystem != "" {
		p.problem(
			ProblemNoIDMap, "remove hostUsers: false, or use a backend that has idmapped mounts",
			"profile %q: the pod has hostUsers: false, which needs idmapped mounts; %s has none, and the pod does not start",
			profile.Name, fileSystem,
		)
	}
}
