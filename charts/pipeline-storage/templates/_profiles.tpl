{{/*
What the profiles of the configuration create, as a JSON list of
  name, claim, class, volume, attributesClass
                                       the profile, and its objects at admission; {namespace} stands for that of the claim
  isClusterDefault                     whether the class is the cluster's default one, so that its name is not known here
  claimLabels, claimAnnotations        of the profile's own
  topologies                           the allowedTopologies of the class: per term a list of KEY=VALUE,VALUE
  size, accessModes, bindingMode, expansion
  dataSource                           of its claim: GROUP/KIND/NAME or empty
  snapshotSource                       whether that is a VolumeSnapshot
  namespace, shared, zone              of its volume; zone is KEY=VALUE or empty
  namespaceSelector
  claimCreated, classCreated, volumeCreated
  provisioned                          whether its claims get a volume from a provisioner
  driver, source, handle, handleSeparator, fsType, parameters, attributes, reclaimPolicy
  classMountOptions, mountOptions, readOnly (csi.readOnly), nodeStageSecret
The defaults are those of pkg/inject/storage: files/backends.json is generated from it. With claims: false nothing is created.
*/}}
{{- define "pipeline-storage.profiles" -}}
{{- $known := .Files.Get "files/backends.json" | fromJson -}}
{{- $profiles := list -}}
{{- range $profile := .Values.config.profiles -}}
{{- with $profile -}}
  {{- $claim := .claim | default dict -}}
  {{- $class := .storageClass | default dict -}}
  {{- $volume := .volume | default dict -}}
  {{- $given := $class.parameters | default dict -}}
  {{- $suffix := eq .name $known.defaults.profile | ternary "" (printf "-%s" .name) -}}
  {{- $backendName := $class.backend | default $known.defaults.backend -}}
  {{- $backend := get $known.backends (get $known.aliases $backendName | default $backendName) -}}

  {{- $claimCreated := dig "create" true $claim -}}
  {{- $isClusterDefault := eq ($class.name | default "") $known.defaults.clusterDefault -}}
  {{- $classCreated := dig "create" (and $claimCreated (not $isClusterDefault)) $class -}}
  {{- $volumeCreated := and (kindIs "map" .volume) (dig "create" $claimCreated $volume) -}}

  {{- $parameters := deepCopy $backend.parameters -}}
  {{- range $key, $value := get $backend.performance ($class.performance | default "") | default dict -}}
    {{- $_ := set $parameters $key $value -}}
  {{- end -}}
  {{- range $key, $owner := $backend.belongsTo -}}
    {{- if and (hasKey $given $owner) (ne (get $given $owner) (get $parameters $owner)) -}}
      {{- $_ := unset $parameters $key -}}
    {{- end -}}
  {{- end -}}
  {{- range $key, $value := $given -}}
    {{- if $value -}}
      {{- $_ := set $parameters $key $value -}}
    {{- else -}}
      {{- $_ := unset $parameters $key -}}
    {{- end -}}
  {{- end -}}
  {{- $attributes := deepCopy $backend.attributes -}}
  {{- range $backend.required -}}
    {{- if get $given . -}}
      {{- $_ := set $attributes . (get $given .) -}}
    {{- end -}}
  {{- end -}}
  {{- range $key, $value := $volume.attributes | default dict -}}
    {{- $_ := set $attributes $key $value -}}
  {{- end -}}

  {{- $driver := $backend.driver | default $class.driver -}}
  {{- if and (not $driver) (or $classCreated $volumeCreated) -}}
    {{- fail (printf "config.profiles: profile %q: the backend csi needs storageClass.driver, the name of its CSI driver" .name) -}}
  {{- end -}}
  {{- $secret := $volume.nodeStageSecret -}}
  {{- $topologyKey := $backend.topologyKey | default $volume.topologyKey -}}
  {{- $defaultClass := printf "%s%s" $known.defaults.class $suffix -}}
  {{- $attributesClass := "" -}}
  {{- if kindIs "map" .attributesClass -}}
    {{- $attributesClass = .attributesClass.name | default $defaultClass -}}
  {{- end -}}
  {{- $volumeName := "" -}}
  {{- if kindIs "map" .volume -}}
    {{- $volumeName = $volume.name | default (printf "%s%s.{namespace}" $known.defaults.volume $suffix) -}}
  {{- end -}}
  {{- range $field, $kind := dict "attributesClass" "VolumeAttributesClass" "snapshotClass" "VolumeSnapshotClass" -}}
    {{- $optional := get $profile $field -}}
    {{- if and (kindIs "map" $optional) (dig "create" $claimCreated ($optional | default dict)) -}}
      {{- fail (printf "config.profiles: profile %q: at admission no %s is created: apply it once by kubectl and set %s.create: false" $profile.name $kind $field) -}}
    {{- end -}}
  {{- end -}}
  {{- $source := $claim.dataSource | default dict -}}
  {{- $sourceGroup := $source.apiGroup | default (eq ($source.kind | default "") "VolumeSnapshot" | ternary "snapshot.storage.k8s.io" "") -}}
  {{- range $name := list $claim.name $source.name $class.name $volume.name (dig "name" "" ($profile.attributesClass | default dict)) (dig "subPath" "" ($profile.mount | default dict)) -}}
    {{- if contains "{release}" ($name | default "") -}}
      {{- fail (printf "config.profiles: at admission no release is known: use {namespace} or a plain name instead of %q" $name) -}}
    {{- end -}}
  {{- end -}}
  {{- include "pipeline-storage.refuse" (list . $known $classCreated) -}}
  {{- if and $volumeCreated (not $volume.handle) -}}
    {{- fail (printf "config.profiles: profile %q: volume.handle is required: %s" .name $backend.handle) -}}
  {{- end -}}
  {{- if and (kindIs "map" .volume) (or $claimCreated $volumeCreated) (not $volume.namespace) (not $volume.shared) -}}
    {{- fail (printf "config.profiles: profile %q: the volume needs the namespace that it serves, volume.namespace, or volume.shared: true" .name) -}}
  {{- end -}}

  {{- $topologies := list -}}
  {{- range $class.allowedTopologies -}}
    {{- $term := list -}}
    {{- range .matchLabelExpressions -}}
      {{- $term = append $term (printf "%s=%s" .key (join "," .values)) -}}
    {{- end -}}
    {{- $topologies = append $topologies $term -}}
  {{- end -}}

  {{- $readOnly := dig "readOnly" false (.mount | default dict) -}}
  {{- $mountOptions := $volume.mountOptions | default list -}}
  {{- if and $readOnly $backend.readOnlyOption (not (has $backend.readOnlyOption (splitList "," (join "," $mountOptions)))) -}}
    {{- $mountOptions = append $mountOptions $backend.readOnlyOption -}}
  {{- end -}}

  {{- $profiles = append $profiles (dict
        "name" .name
        "claim" ($claim.name | default (printf "%s%s" $known.defaults.claim $suffix))
        "class" ($class.name | default $defaultClass)
        "isClusterDefault" $isClusterDefault
        "claimLabels" ($claim.labels | default dict)
        "claimAnnotations" ($claim.annotations | default dict)
        "topologies" $topologies
        "volume" $volumeName
        "attributesClass" $attributesClass
        "accessModes" ($claim.accessModes | default (list $backend.accessMode))
        "bindingMode" ($class.volumeBindingMode | default $known.defaults.bindingMode)
        "expansion" (kindIs "bool" $class.allowVolumeExpansion | ternary $class.allowVolumeExpansion true)
        "namespaceSelector" .namespaceSelector
        "size" ($claim.size | default $known.defaults.size | toString)
        "dataSource" (kindIs "map" $claim.dataSource | ternary (printf "%s/%v/%v" $sourceGroup $source.kind $source.name) "")
        "snapshotSource" (and $.Values.claims $claimCreated (eq $sourceGroup "snapshot.storage.k8s.io") (eq ($source.kind | default "") "VolumeSnapshot"))
        "path" (dig "path" $known.defaults.path (.mount | default dict))
        "claimCreated" (and $.Values.claims $claimCreated)
        "classCreated" (and $.Values.claims $classCreated)
        "volumeCreated" (and $.Values.claims $volumeCreated)
        "provisioned" (and $.Values.claims $claimCreated (not (kindIs "map" .volume)))
        "namespace" $volume.namespace
        "shared" (dig "shared" false $volume)
        "zone" (and $volume.zone $topologyKey | empty | not | ternary (printf "%v=%v" $topologyKey $volume.zone) "")
        "zoneless" (and $volumeCreated (not $volume.zone) (not (empty $topologyKey)))
        "driver" $driver
        "source" $backend.source
        "handle" $volume.handle
        "handleSeparator" $backend.handleSeparator
        "fsType" (get $parameters $known.defaults.fsType)
        "parameters" $parameters
        "attributes" $attributes
        "reclaimPolicy" ($class.reclaimPolicy | default $known.defaults.reclaimPolicy)
        "classMountOptions" ($class.mountOptions | default list)
        "mountOptions" $mountOptions
        "readOnly" (and $readOnly $backend.readOnlyAttach)
        "nodeStageSecret" (kindIs "map" $secret | ternary (printf "%s/%s" (dig "namespace" "" ($secret | default dict)) (dig "name" "" ($secret | default dict))) "")
      ) -}}
{{- end -}}
{{- end -}}
{{- toJson $profiles -}}
{{- end -}}

{{/* "true" when any profile creates what is named: list CONTEXT FIELD. */}}
{{- define "pipeline-storage.creates" -}}
{{- $field := index . 1 -}}
{{- range include "pipeline-storage.profiles" (index . 0) | fromJsonArray -}}
{{- if get . $field -}}true{{- end -}}
{{- end -}}
{{- end -}}
