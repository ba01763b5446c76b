{{/* Fails where the cluster has no policies, or where a change of mode would leave pods without either for a moment. */}}
{{- define "pipeline-storage.requirePolicies" -}}
{{- if semverCompare "<1.36.0-0" .Capabilities.KubeVersion.Version -}}
  {{- fail (printf "mode: %s needs MutatingAdmissionPolicy v1, and so Kubernetes 1.36 or later: this is %s (helm template takes --kube-version)" .Values.mode .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- include "pipeline-storage.refuseJump" . -}}
{{- if gt (len .Values.config.profiles) 20 -}}
  {{- fail (printf "config.profiles: policies serve up to 20 profiles, so that no pod exceeds what the API server lets an expression cost: there are %d" (len .Values.config.profiles)) -}}
{{- end -}}
{{- end -}}

{{/*
Fails where an upgrade would remove the webhook in the moment in which the policies come, or the other way around: API servers notice
policies up to seconds later, and meanwhile pods would start without storage.
*/}}
{{- define "pipeline-storage.refuseJump" -}}
{{- if and (ne .Values.mode "both") (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) -}}
  {{- $name := include "pipeline-storage.clusterName" . -}}
  {{- $version := "admissionregistration.k8s.io/v1" -}}
  {{- $before := eq .Values.mode "policy" | ternary "MutatingWebhookConfiguration" "MutatingAdmissionPolicyBinding" -}}
  {{- $after := eq .Values.mode "policy" | ternary "MutatingAdmissionPolicyBinding" "MutatingWebhookConfiguration" -}}
  {{- if and .Release.IsUpgrade (lookup $version $before "" $name) (not (lookup $version $after "" $name)) -}}
    {{- fail (printf "mode: %s: the %s %s still serves pods, and for seconds nothing would: upgrade with mode: both first, wait until it is ready, and then with mode: %s" .Values.mode $before $name .Values.mode) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
What a MutatingAdmissionPolicy and a ValidatingAdmissionPolicy of the installation have in common, but for their rules.
*/}}
{{- define "pipeline-storage.policySpec" -}}
matchConstraints:
  matchPolicy: Equivalent
  resourceRules:
    - apiGroups: [""]
      apiVersions: [v1]
      operations: [CREATE]
      resources: [pods]
      scope: Namespaced
  namespaceSelector:
    {{- include "pipeline-storage.servedNamespaces" (dict "root" .) | nindent 4 }}
matchConditions:
  {{- include "pipeline-storage.noMirrorPod" . | nindent 2 }}
  {{- with .Values.webhook.matchConditions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
The bindings of a policy: dict root, kind, spec (more fields), of (the end of the policy's name). One is for the pods with the opt-in
label, the others for those of optIn. These match pods with the label, too: in a second round, for a sidecar of a webhook, the API
server evaluates only the bindings of the first, which has added the label.
*/}}
{{- define "pipeline-storage.policyBindings" -}}
{{- $optIn := .root.Values.optIn | default dict -}}
{{- with $optIn.podSelector -}}
  {{- include "pipeline-storage.requirePodSelector" . -}}
  {{- include "pipeline-storage.refuseSelector" (list "optIn.podSelector:" .) -}}
{{- end -}}
{{- $others := list (dict "key" "app.kubernetes.io/name" "operator" "NotIn" "values" (list "pipeline-storage")) -}}
{{- $pods := $optIn.podSelector | default dict -}}
{{- include "pipeline-storage.policyBinding" (merge (dict "suffix" "" "pods" (dict "matchLabels" (dict "pipeline-storage" "enabled"))) .) }}
{{- if $optIn.podSelector }}
---
{{ include "pipeline-storage.policyBinding" (merge (dict "suffix" ".pod-selector" "by" "pod-selector" "on" true
    "namespaces" ($optIn.namespaceSelector | default dict)
    "pods" (dict "matchLabels" ($pods.matchLabels | default dict) "matchExpressions" (concat $others ($pods.matchExpressions | default list)))) .) }}
{{- end }}
{{- if $optIn.namespaceLabel }}
---
{{ include "pipeline-storage.policyBinding" (merge (dict "suffix" ".namespace" "by" "namespace" "on" true
    "namespaces" (dict "matchLabels" (dict "pipeline-storage.io/all-pods" "enabled"))
    "pods" (dict "matchExpressions" $others)) .) }}
{{- end }}
{{- end -}}

{{- define "pipeline-storage.policyBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ include "pipeline-storage.clusterName" .root }}{{ .of }}{{ .suffix }}
  labels:
    {{- include "pipeline-storage.labels" .root | nindent 4 }}
spec:
  policyName: {{ include "pipeline-storage.clusterName" .root }}{{ .of }}
  {{- with .spec }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  matchResources:
    objectSelector:
      {{- include "pipeline-storage.servedPods" (list .root .pods) | nindent 6 }}
    {{- if .by }}
    namespaceSelector:
      {{- include "pipeline-storage.servedNamespaces" . | nindent 6 }}
    {{- end }}
{{- end -}}

{{/*
The variables of a policy: the configuration, those that all have, and its own: list ROOT VARIABLES. The configuration is a literal, and
not a ConfigMap as a parameter: an API server that has had policies with such a parameter, and for a moment none, reads no ConfigMap
again until it restarts. Source: Kubernetes, apiserver, pkg/admission/plugin/policy/generic/policy_source.go, ensureParamsForPolicyLocked.
*/}}
{{- define "pipeline-storage.policyVariables" -}}
{{- $root := first . -}}
{{- include "pipeline-storage.requirePolicies" $root -}}
{{- $rules := $root.Files.Get "files/policy.yaml" | fromYaml -}}
{{- $config := include "pipeline-storage.policyConfig" $root | fromYaml -}}
{{- $entries := list -}}
{{- range $key := keys $config | sortAlpha -}}
  {{- $entries = append $entries (printf "%s: %s" (toJson $key) (toJson (get $config $key))) -}}
{{- end -}}
{{- $literal := printf "{\n  %s\n}" (join ",\n  " $entries) -}}
{{- if gt (len $literal) 60000 -}}
  {{- fail (printf "config.profiles: policies have them in an expression of up to 60000 characters: there are %d: use shorter names, selectors and lists, or set mode: webhook" (len $literal)) -}}
{{- end -}}
{{- concat (list (dict "name" "config" "expression" $literal)) $rules.variables (last .) | toYaml -}}
{{- end -}}

{{/*
The configuration of the policies: text only, lists with commas.
  profiles, defaults                       names
  reservedPaths                            lines of PATH, below or self, and why no volume can be there
  maxNames                                 how many names an annotation may list
  namespaceLabel                           optIn.namespaceLabel
  PROFILE.volume, .claim, .path, .subPath, .readOnly, .containers, .excludeContainers, .env, .fsGroup, .seLinuxChangePolicy
  PROFILE.namespaces, .namespaceSelector   lines of KEY, operator and values; the same as a sentence has it
  PROFILE.volumeNamespace                  the one namespace that its volume serves, or empty
*/}}
{{- define "pipeline-storage.policyConfig" -}}
{{- $known := .Files.Get "files/backends.json" | fromJson -}}
{{- $optIn := .Values.optIn | default dict -}}
{{- $reserved := list -}}
{{- range $known.reserved.paths -}}
  {{- $reserved = append $reserved (printf "%s %s %s" .name (.below | ternary "below" "self") .why) -}}
{{- end -}}
{{- $names := list -}}
{{- $defaults := list -}}
{{- $taken := dict -}}
{{- $data := dict
      "maxNames" "200"
      "namespaceLabel" ($optIn.namespaceLabel | default false | toString)
      "reservedPaths" (join "\n" $reserved) -}}
{{- range $profile := .Values.config.profiles -}}
{{- with $profile -}}
  {{- include "pipeline-storage.refuseInPolicies" . -}}
  {{- $names = append $names .name -}}
  {{- if .default -}}
    {{- $defaults = append $defaults .name -}}
  {{- end -}}
  {{- $suffix := eq .name $known.defaults.profile | ternary "" (printf "-%s" .name) -}}
  {{- $mount := .mount | default dict -}}
  {{- $claim := .claim | default dict -}}
  {{- $volume := .volume | default dict -}}
  {{- $env := .env | default list -}}
  {{- $claimCreated := dig "create" true $claim -}}
  {{- $isForOne := and (kindIs "map" .volume) (not $volume.shared) (or $claimCreated (dig "create" $claimCreated $volume)) -}}
  {{- $requirements := include "pipeline-storage.requirements" (.namespaceSelector | default dict) -}}
  {{- range $field, $value := dict
        "volume" (printf "%s%s" $known.defaults.podVolume $suffix)
        "claim" ($claim.name | default (printf "%s%s" $known.defaults.claim $suffix))
        "path" ($mount.path | default $known.defaults.path)
        "subPath" ($mount.subPath | default "")
        "readOnly" ($mount.readOnly | default false | toString)
        "containers" (join "," $mount.containers)
        "excludeContainers" (join "," $mount.excludeContainers)
        "env" (kindIs "slice" $env | ternary $env (list $env) | join ",")
        "fsGroup" (kindIs "invalid" .fsGroup | ternary "" (printf "%v" (.fsGroup | int64)))
        "seLinuxChangePolicy" (.seLinuxChangePolicy | default "")
        "namespaces" $requirements
        "namespaceSelector" (include "pipeline-storage.selectorText" $requirements)
        "volumeNamespace" ($isForOne | ternary ($volume.namespace | default "") "")
  -}}
    {{- $_ := set $data (printf "%s.%s" $profile.name $field) $value -}}
  {{- end -}}
  {{- $unique := list (printf "name %s" .name) (printf "claim %s" (get $data (printf "%s.claim" .name))) (printf "path %s" (get $data (printf "%s.path" .name) | clean)) -}}
  {{- range kindIs "slice" $env | ternary $env (list $env) -}}
    {{- $unique = append $unique (printf "env %s" .) -}}
  {{- end -}}
  {{- range $unique -}}
    {{- if hasKey $taken . -}}
      {{- fail (printf "config.profiles: profile %q: %s: another profile has it, or this one twice" $profile.name .) -}}
    {{- end -}}
    {{- $_ := set $taken . true -}}
  {{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $data "profiles" (join "," $names) -}}
{{- $_ := set $data "defaults" (join "," ($defaults | default (list (first $names)))) -}}
{{- toYaml $data -}}
{{- end -}}

{{/* The requirements of a label selector, sorted, as lines of key, operator and values. */}}
{{- define "pipeline-storage.requirements" -}}
{{- $lines := list -}}
{{- range $key, $value := .matchLabels -}}
  {{- $lines = append $lines (printf "%s Equals %s" $key $value) -}}
{{- end -}}
{{- range .matchExpressions -}}
  {{- $lines = append $lines (printf "%s %s %s" .key .operator (join "," (.values | default list | sortAlpha))) -}}
{{- end -}}
{{- join "\n" (sortAlpha $lines) -}}
{{- end -}}

{{/* The lines of pipeline-storage.requirements as kubectl writes a selector. */}}
{{- define "pipeline-storage.selectorText" -}}
{{- $parts := list -}}
{{- range splitList "\n" . -}}
  {{- $r := splitList " " . -}}
  {{- if ge (len $r) 2 -}}
    {{- $operator := index $r 1 -}}
    {{- $values := gt (len $r) 2 | ternary (last $r) "" -}}
    {{- $parts = append $parts (get (dict
          "Equals" (printf "%s=%s" (first $r) $values)
          "In" (printf "%s in (%s)" (first $r) $values)
          "NotIn" (printf "%s notin (%s)" (first $r) $values)
          "Exists" (first $r)
          "DoesNotExist" (printf "!%s" (first $r))) $operator) -}}
  {{- end -}}
{{- end -}}
{{- join "," $parts -}}
{{- end -}}

{{/*
Fails for a field of a profile that the policies cannot serve, and for a value that the program refuses when it starts: policies act
at once, and without claims there is no program. The rules are those of pkg/inject/storage.
*/}}
{{- define "pipeline-storage.refuseInPolicies" -}}
{{- $where := printf "config.profiles: profile %q:" .name -}}
{{- $mount := .mount | default dict -}}
{{- $subPath := $mount.subPath | default "" -}}
{{- $path := $mount.path | default "/" -}}
{{- $claim := dig "name" "" (.claim | default dict) | default "" | replace "{namespace}" "x" -}}
{{- $env := .env | default list -}}
{{- $label := "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" -}}
{{- $parent := "(^|/)[.][.](/|$)" -}}
{{- if .colocate -}}
  {{- fail (printf "%s colocate: policies cannot keep pods on one node: leave it out, or set mode: webhook" $where) -}}
{{- else if regexMatch "[{}]" (replace "{namespace}" "" $subPath) -}}
  {{- fail (printf "%s mount.subPath %s: of the placeholders, policies fill {namespace} only: use that one, or set mode: webhook" $where $subPath) -}}
{{- else if not (regexMatch $label .name) -}}
  {{- fail (printf "%s name: it must be a DNS label: lower case letters, digits and hyphens" $where) -}}
{{- else if gt (len .name) 46 -}}
  {{- fail (printf "%s name: policies need one of at most 46 characters, because the volume in a pod is named after it: choose a shorter one, or set mode: webhook" $where) -}}
{{- else if or (not (hasPrefix "/" $path)) (contains ":" $path) (regexMatch $parent $path) (regexMatch "\\p{Cc}" $path) -}}
  {{- fail (printf "%s mount.path %q: it must be an absolute path without two dots, a colon or control characters" $where $path) -}}
{{- else if or (hasPrefix "/" $subPath) (regexMatch $parent $subPath) (regexMatch "\\p{Cc}" $subPath) -}}
  {{- fail (printf "%s mount.subPath %q: it must be a relative path without two dots or control characters" $where $subPath) -}}
{{- else if and $claim (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" $claim)) -}}
  {{- fail (printf "%s claim.name %q: it must be a DNS name" $where $claim) -}}
{{- end -}}
{{- range $name := kindIs "slice" $env | ternary $env (list $env) -}}
  {{- if not (regexMatch "^[-._a-zA-Z][-._a-zA-Z0-9]*$" $name) -}}
    {{- fail (printf "%s env %q: it is no name of an environment variable" $where $name) -}}
  {{- end -}}
{{- end -}}
{{- range $field := list "containers" "excludeContainers" -}}
  {{- range $name := get $mount $field | default list -}}
    {{- if not (regexMatch $label $name) -}}
      {{- fail (printf "%s mount.%s %q: it is no name of a container" $where $field $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- include "pipeline-storage.refuseSelector" (list (printf "%s namespaceSelector:" $where) (.namespaceSelector | default dict)) -}}
{{- end -}}

{{/* Fails for a label selector that the API server would not take: list WHERE SELECTOR. */}}
{{- define "pipeline-storage.refuseSelector" -}}
{{- $where := first . -}}
{{- $selector := last . -}}
{{- $requirements := $selector.matchExpressions | default list -}}
{{- range $key, $value := $selector.matchLabels -}}
  {{- $requirements = append $requirements (dict "key" $key "operator" "In" "values" (list $value)) -}}
{{- end -}}
{{- range $requirements -}}
  {{- $values := .values | default list -}}
  {{- if not (regexMatch "^([-a-z0-9.]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$" .key) -}}
    {{- fail (printf "%s %q is no key of a label" $where .key) -}}
  {{- else if not (has .operator (list "In" "NotIn" "Exists" "DoesNotExist")) -}}
    {{- fail (printf "%s operator %q: it must be In, NotIn, Exists or DoesNotExist" $where .operator) -}}
  {{- else if ne (empty $values) (has .operator (list "Exists" "DoesNotExist")) -}}
    {{- fail (printf "%s %s: In and NotIn need values, Exists and DoesNotExist have none" $where .key) -}}
  {{- end -}}
  {{- range $values -}}
    {{- if not (regexMatch "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$" (toString .)) -}}
      {{- fail (printf "%s %q is no value of a label" $where (toString .)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
