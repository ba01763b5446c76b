// Package postrender carries pipeline-storage's decisions out on a rendered stream of manifests:
// what helm template prints, or any YAML stream.
//
// [Renderer.RenderResourceList] does the same for the items of a ResourceList, as a KRM function of
// kustomize or kpt.
//
// [Renderer] satisfies the PostRenderer interface of Helm's SDK without importing it, so that a
// program which embeds Helm can set it as action.Install.PostRenderer. The command cmd/postrender
// is a thin edge around it.
package postrender
