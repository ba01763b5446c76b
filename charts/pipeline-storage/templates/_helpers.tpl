{{/* The name of every object. It has no dots, because a Service's name may have none. */}}
{{- define "pipeline-storage.fullname" -}}
{{- $chart := .Values.nameOverride | default .Chart.Name -}}
{{- $name := printf "%s-%s" .Release.Name $chart -}}
{{- if contains $chart .Release.Name -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- include "pipeline-storage.shorten" (.Values.fullnameOverride | default $name | replace "." "-") -}}
{{- end -}}

{{/* A name of at most 63 characters; a hash keeps different long names different. */}}
{{- define "pipeline-storage.shorten" -}}
{{- if gt (len .) 63 -}}
{{- printf "%s-%s" (trunc 54 . | trimAll "-.") (sha256sum . | trunc 8) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* The name of objects of the cluster: no other installation can have it, since namespaces have no dots. */}}
{{- define "pipeline-storage.clusterName" -}}
{{- printf "%s.%s" .Release.Namespace (include "pipeline-storage.fullname" .) -}}
{{- end -}}

{{/* The value of the label of the objects that the claims controller creates. */}}
{{- define "pipeline-storage.installation" -}}
{{- printf "%s.%s" .Release.Namespace .Release.Name | include "pipeline-storage.shorten" -}}
{{- end -}}

{{- define "pipeline-storage.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "pipeline-storage.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name must be given when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "pipeline-storage.priorityClassName" -}}
{{- .Values.priorityClassName | default (.Values.priorityClass.create | ternary (include "pipeline-storage.clusterName" .) "") -}}
{{- end -}}

{{/*
The name of the Secret with the certificate, or, with self, with the CA that signs it. cert-manager's has another name: neither
could use a Secret that the other created.
*/}}
{{- define "pipeline-storage.certificateSecret" -}}
{{- if eq .Values.certificates.mode "secret" -}}
{{- required "certificates.secretName must name your Secret when certificates.mode is secret" .Values.certificates.secretName -}}
{{- else -}}
{{- printf "%s-%s" (include "pipeline-storage.fullname" .) (eq .Values.certificates.mode "self" | ternary "webhook-ca" "tls") -}}
{{- end -}}
{{- end -}}

{{/* By these the Deployment and the Service find their pods. They never change. */}}
{{- define "pipeline-storage.selectorLabels" -}}
app.kubernetes.io/name: pipeline-storage
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pipeline-storage.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pipeline-storage.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{- include "pipeline-storage.refuseLabels" (list "commonLabels" .) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The labels that the values add to pods, or nothing. */}}
{{- define "pipeline-storage.podLabels" -}}
{{- with .Values.podLabels -}}
{{- include "pipeline-storage.refuseLabels" (list "podLabels" .) -}}
{{- end -}}
{{- with merge (dict) .Values.podLabels .Values.commonLabels -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/*
The image. A registry stands in place of that in the repository: what comes before the first slash is one if it has a dot or a colon or
is localhost. Source: github.com/distribution/reference, ParseNormalizedNamed.
*/}}
{{- define "pipeline-storage.image" -}}
{{- $global := .Values.global | default dict -}}
{{- with .Values.image -}}
{{- with .registry | default $global.imageRegistry -}}
{{- trimSuffix "/" . }}/{{ regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $.Values.image.repository "" -}}
{{- else -}}
{{- .repository -}}
{{- end -}}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The one egress rule of the NetworkPolicies: connections to the API server. */}}
{{- define "pipeline-storage.apiServerEgress" -}}
- ports:
    {{- range required "networkPolicy.apiServerPorts must have the ports of the API server: without any, the policy would allow every connection" .Values.networkPolicy.apiServerPorts }}
    - port: {{ . }}
    {{- end }}
  {{- with .Values.networkPolicy.apiServerTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The pull secrets of pods, those of global behind the chart's own, or nothing. */}}
{{- define "pipeline-storage.imagePullSecrets" -}}
{{- $secrets := .Values.imagePullSecrets | default list -}}
{{- range (.Values.global | default dict).imagePullSecrets -}}
  {{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Whether the chart deletes the MutatingWebhookConfiguration before it is uninstalled: "true" or nothing. */}}
{{- define "pipeline-storage.hasUninstallHook" -}}
{{- if and (include "pipeline-storage.hasWebhook" .) .Values.uninstallHook.enabled .Values.rbac.create }}true{{ end -}}
{{- end -}}
