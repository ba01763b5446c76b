{{/* The identity that the fence is for, in CEL. */}}
{{- define "pipeline-storage.fence.account" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "pipeline-storage.serviceAccountName" .) -}}
{{- end -}}

{{/* Whether an object is the PersistentVolume of a profile, in CEL. The variables are those of the policy. */}}
{{- define "pipeline-storage.fence.volume" -}}
variables.source == {{ toRawJson .source }}
{{- if eq .source "csi" }} &&
object.spec.csi.driver == {{ toRawJson .driver }} &&
object.spec.csi.volumeHandle == {{ toRawJson .handle }}{{ if and .shared .handleSeparator }} + '{{ .handleSeparator }}' + variables.claimNamespace{{ end }} &&
variables.attributes == {{ toRawJson .attributes }} &&
variables.nodeStageSecret == {{ toRawJson .nodeStageSecret }} &&
object.spec.csi.?readOnly.orValue(false) == {{ .readOnly }}
{{- else }} &&
object.spec.{{ .source }}.path == {{ toRawJson .handle }}
{{- end }} &&
variables.mountOptions == {{ toRawJson .mountOptions }} &&
variables.claimNamespace {{ if .shared }}!= ''{{ else }}== {{ toRawJson .namespace }}{{ end }} &&
object.spec.persistentVolumeReclaimPolicy == {{ toRawJson .reclaimPolicy }}
{{- end -}}

{{/* Whether an object is the StorageClass of a profile, in CEL. */}}
{{- define "pipeline-storage.fence.class" -}}
object.provisioner == {{ toRawJson .driver }} &&
object.reclaimPolicy == {{ toRawJson .reclaimPolicy }} &&
variables.parameters == {{ toRawJson .parameters }} &&
variables.mountOptions == {{ toRawJson .classMountOptions }}
{{- end -}}
