{{/* The identity that the guardrail policies hold, in CEL. */}}
{{- define "pipeline-storage.guardrails.account" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "pipeline-storage.serviceAccountName" .) -}}
{{- end -}}

{{/* The name of a profile's object, in CEL: list NAME NAMESPACE, the latter in CEL. */}}
{{- define "pipeline-storage.guardrails.name" -}}
{{- $name := index . 0 -}}
{{- toRawJson $name -}}
{{- if contains "{namespace}" $name -}}
.replace("{namespace}", {{ index . 1 }})
{{- end -}}
{{- end -}}

{{/* Whether an object has the name of a profile's class, in CEL. A class does not name the namespace that it is for. */}}
{{- define "pipeline-storage.guardrails.className" -}}
{{- if not (contains "{namespace}" .class) -}}
object.metadata.name == {{ toRawJson .class }}
{{- else if and .namespace (not .shared) -}}
object.metadata.name == {{ .class | replace "{namespace}" .namespace | toRawJson }}
{{- else -}}
object.metadata.name.matches({{ .class | regexQuoteMeta | replace "\\{namespace\\}" "[a-z0-9]([-a-z0-9]*[a-z0-9])?" | printf "^%s$" | toRawJson }})
{{- end -}}
{{- end -}}

{{/* Whether a label selector selects labels, in CEL: list SELECTOR LABELS, the latter in CEL. An empty one selects all. */}}
{{- define "pipeline-storage.guardrails.selects" -}}
{{- $selector := index . 0 | default dict -}}
{{- $labels := index . 1 -}}
{{- $terms := list -}}
{{- range $key, $value := $selector.matchLabels -}}
  {{- $terms = append $terms (printf "%s[?%s] == optional.of(%s)" $labels (toRawJson $key) (toRawJson $value)) -}}
{{- end -}}
{{- range $selector.matchExpressions -}}
  {{- $key := toRawJson .key -}}
  {{- if eq .operator "In" -}}
    {{- $terms = append $terms (printf "(%s in %s && %s[%s] in %s)" $key $labels $labels $key (toRawJson .values)) -}}
  {{- else if eq .operator "NotIn" -}}
    {{- $terms = append $terms (printf "!(%s in %s && %s[%s] in %s)" $key $labels $labels $key (toRawJson .values)) -}}
  {{- else if eq .operator "Exists" -}}
    {{- $terms = append $terms (printf "%s in %s" $key $labels) -}}
  {{- else -}}
    {{- $terms = append $terms (printf "!(%s in %s)" $key $labels) -}}
  {{- end -}}
{{- end -}}
{{- join " && " $terms | default "true" -}}
{{- end -}}

{{/* The namespaces that the installation never serves, in CEL. */}}
{{- define "pipeline-storage.guardrails.excluded" -}}
{{- append (.Values.excludedNamespaces | default list) .Release.Namespace | uniq | toRawJson -}}
{{- end -}}

{{/* Whether a claim is that of a profile by its name and namespace, in CEL: list PROFILE NAME NAMESPACE, the latter two in CEL. */}}
{{- define "pipeline-storage.guardrails.claimKey" -}}
{{- $profile := index . 0 -}}
{{ index . 1 }} == {{ include "pipeline-storage.guardrails.name" (list $profile.claim (index . 2)) }}
{{- if and $profile.namespace (not $profile.shared) }} && {{ index . 2 }} == {{ toRawJson $profile.namespace }}{{ end -}}
{{- end -}}

{{/* Whether an object is the PersistentVolume of a profile, in CEL. The variables are those of the policy. */}}
{{- define "pipeline-storage.guardrails.volume" -}}
object.metadata.name == {{ include "pipeline-storage.guardrails.name" (list .volume "variables.claimNamespace") }} &&
variables.profile == {{ toRawJson .name }} &&
variables.source == {{ toRawJson .source }}
{{- if eq .source "csi" }} &&
object.spec.csi.driver == {{ toRawJson .driver }} &&
object.spec.csi.volumeHandle == {{ toRawJson .handle }}{{ if and .shared .handleSeparator }} + '{{ .handleSeparator }}' + variables.claimNamespace{{ end }} &&
object.spec.csi.?fsType.orValue('') == {{ .fsType | default "" | toRawJson }} &&
variables.attributes == {{ toRawJson .attributes }} &&
variables.nodeStageSecret == {{ toRawJson .nodeStageSecret }} &&
object.spec.csi.?readOnly.orValue(false) == {{ .readOnly }}
{{- else }} &&
object.spec.{{ .source }}.path == {{ toRawJson .handle }}
{{- end }} &&
{{- if eq .source "hostPath" }}
object.spec.hostPath.?type.orValue('') == 'DirectoryOrCreate' &&
{{- end }}
variables.mountOptions == {{ toRawJson .mountOptions }} &&
variables.claimNamespace {{ if .shared }}!= ''{{ else }}== {{ toRawJson .namespace }}{{ end }} &&
variables.claimName == {{ include "pipeline-storage.guardrails.name" (list .claim "variables.claimNamespace") }} &&
variables.size.compareTo(quantity({{ toRawJson .size }})) == 0 &&
variables.accessModes == {{ toRawJson .accessModes }} &&
variables.zone == {{ toRawJson .zone }} &&
object.spec.?storageClassName.orValue('') == {{ include "pipeline-storage.guardrails.name" (list .class "variables.claimNamespace") }} &&
{{ include "pipeline-storage.guardrails.attributesClass" (list . "variables.claimNamespace") }} &&
object.spec.persistentVolumeReclaimPolicy == {{ toRawJson .reclaimPolicy }}
{{- end -}}

{{/*
Whether the VolumeAttributesClass of a volume or a claim is the profile's, in CEL: list PROFILE NAMESPACE, the latter in CEL. An API
server that does not have the field yet drops it.
*/}}
{{- define "pipeline-storage.guardrails.attributesClass" -}}
{{- $profile := index . 0 -}}
{{- if $profile.attributesClass -}}
object.spec.?volumeAttributesClassName.orValue('') in ['', {{ include "pipeline-storage.guardrails.name" (list $profile.attributesClass (index . 1)) }}]
{{- else -}}
object.spec.?volumeAttributesClassName.orValue('') == ''
{{- end -}}
{{- end -}}

{{/* Whether an object is the StorageClass of a profile, in CEL. */}}
{{- define "pipeline-storage.guardrails.class" -}}
{{ include "pipeline-storage.guardrails.className" . }} &&
object.provisioner == {{ toRawJson .driver }} &&
object.reclaimPolicy == {{ toRawJson .reclaimPolicy }} &&
object.volumeBindingMode == {{ toRawJson .bindingMode }} &&
object.?allowVolumeExpansion.orValue(false) == {{ .expansion }} &&
variables.parameters == {{ toRawJson .parameters }} &&
variables.topologies == {{ toRawJson .topologies }} &&
variables.mountOptions == {{ toRawJson .classMountOptions }}
{{- end -}}

{{/*
Whether all labels or annotations that an update adds are a profile's own, in CEL: list OWN NEW OLD, the latter two in CEL.
*/}}
{{- define "pipeline-storage.guardrails.added" -}}
{{- $entries := list -}}
{{- range $key, $value := index . 0 -}}
  {{- $entries = append $entries (printf "%s: %s" (toRawJson $key) (include "pipeline-storage.guardrails.name" (list $value "request.namespace"))) -}}
{{- end -}}
{{ index . 1 }}.all(k, k in {{ index . 2 }}{{ if $entries }} || {{ printf "{%s}" (join ", " $entries) }}[?k] == {{ index . 1 }}[?k]{{ end }})
{{- end -}}

{{/*
Whether an object is the claim of a profile, in CEL. An update changes the size and adds labels and annotations, so that the rest
needs no second look. A claim for a volume to re-bind has the class of that volume, and its size until it is bound. Nothing is copied
into that volume. The API server fills in the cluster's default class before this is evaluated, and its name is not known here.
*/}}
{{- define "pipeline-storage.guardrails.claim" -}}
{{ include "pipeline-storage.guardrails.claimKey" (list . "object.metadata.name" "request.namespace") }} &&
variables.profile == {{ toRawJson .name }} &&
{{- with .namespaceSelector }}
{{ include "pipeline-storage.guardrails.selects" (list . "variables.namespaceLabels") }} &&
{{- end }}
(variables.size.compareTo(quantity({{ toRawJson .size }})) <= 0 || variables.keepsSize) &&
(request.operation == 'UPDATE' ?
{{ include "pipeline-storage.guardrails.added" (list .claimLabels "variables.labels" "variables.oldLabels") }} &&
{{ include "pipeline-storage.guardrails.added" (list .claimAnnotations "variables.annotations" "variables.oldAnnotations") }} : (
{{- if .volume }}
variables.volumeName == {{ include "pipeline-storage.guardrails.name" (list .volume "request.namespace") }} &&
variables.dataSource == '' &&
{{- else }}
(variables.volumeName != '' ? variables.dataSource == '' : (
variables.dataSource == {{ include "pipeline-storage.guardrails.name" (list .dataSource "request.namespace") }} &&
variables.size.compareTo(quantity({{ toRawJson .size }})) == 0 &&
{{- if .isClusterDefault }}
object.spec.?storageClassName.orValue('default') != ''
{{- else }}
object.spec.?storageClassName.orValue('') == {{ include "pipeline-storage.guardrails.name" (list .class "request.namespace") }}
{{- end }})) &&
{{- end }}
{{ include "pipeline-storage.guardrails.attributesClass" (list . "request.namespace") }} &&
variables.accessModes == {{ toRawJson .accessModes }}))
{{- end -}}
