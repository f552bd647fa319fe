{{/* host:port under which pod `name` of a component with stable names is reached. Takes root, component and name. */}}
{{- define "plimsoll.podAddress" -}}
{{- printf "%s.%s.%s.svc.%s:%d" .name (include "plimsoll.headlessName" .) .root.Release.Namespace .root.Values.clusterDomain (int .root.Values.ports.grpc) -}}
{{- end -}}

{{/* The voters of the coordinator, as `--coordinators` takes them. */}}
{{- define "plimsoll.coordinators" -}}
{{- $component := ternary "all" "coordinator" (eq .Values.mode "single") -}}
{{- $replicas := ternary .Values.single.replicas .Values.coordinator.replicas (eq .Values.mode "single") -}}
{{- $root := . -}}
{{- $addresses := list -}}
{{- range $i := until (int $replicas) -}}
{{- $name := printf "%s-%d" (include "plimsoll.componentName" (dict "root" $root "component" $component)) $i -}}
{{- $addresses = append $addresses (include "plimsoll.podAddress" (dict "root" $root "component" $component "name" $name)) -}}
{{- end -}}
{{- join "," $addresses -}}
{{- end -}}

{{/* The config file: what the user says, and where the chart mounts what the user gave. */}}
{{- define "plimsoll.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.rules -}}
{{- $_ := set $config "ruler" (mustMergeOverwrite (dict) (default dict $config.ruler) (dict "rule_files" (list "/etc/plimsoll-rules/*.yaml"))) -}}
{{- end -}}
{{- if .Values.limitsOverrides -}}
{{- $_ := set $config "limits_overrides_file" "/etc/plimsoll-overrides/overrides.yaml" -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Arguments of `plimsoll`. Takes root, component, stable (whether pods have names of their own) and zone (may be empty). */}}
{{- define "plimsoll.args" -}}
{{- $v := .root.Values -}}
- run
- --config=/etc/plimsoll/config.yaml
- --target={{ .component }}
- --data-dir=/data
- --http-listen={{ $v.listenHost }}:{{ int $v.ports.http }}
- --grpc-listen={{ $v.listenHost }}:{{ int $v.ports.grpc }}
- --instance-id=$(POD_NAME)
{{- if .stable }}
- --advertise={{ include "plimsoll.podAddress" (dict "root" .root "component" .component "name" "$(POD_NAME)") }}
{{- else if contains ":" $v.listenHost }}
- --advertise=[$(POD_IP)]:{{ int $v.ports.grpc }}
{{- else }}
- --advertise=$(POD_IP):{{ int $v.ports.grpc }}
{{- end }}
- --coordinators={{ include "plimsoll.coordinators" .root }}
- --replication-factor={{ int $v.replicationFactor }}
{{- with .zone }}
- --zone={{ . }}
{{- end }}
{{- with $v.objectStore.url }}
- {{ printf "--object-store=%s" . | quote }}
{{- end }}
{{- if $v.multitenancy }}
- --multitenancy
{{- end }}
{{- end -}}

{{/* What no schema can say. */}}
{{- define "plimsoll.validate" -}}
{{- $single := eq .Values.mode "single" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: no image is published yet, build one with helm/Dockerfile and say where it is" -}}
{{- end -}}
{{- if and (not .Values.objectStore.url) (not (and $single (eq (int .Values.single.replicas) 1))) -}}
{{- fail "objectStore.url is empty: several pods need a common object store, for example s3://bucket/prefix?region=eu-central-1" -}}
{{- end -}}
{{- $ingesters := ternary .Values.single.replicas (mul (len .Values.ingester.zones) .Values.ingester.replicasPerZone) $single -}}
{{- if lt (int $ingesters) (int .Values.replicationFactor) -}}
{{- fail (printf "replicationFactor is %d, but there are %d ingesters" (int .Values.replicationFactor) (int $ingesters)) -}}
{{- end -}}
{{- if and .Values.rules (not $single) (not .Values.ruler.enabled) -}}
{{- fail "rules are given, but ruler.enabled is false" -}}
{{- end -}}
{{- $zones := list -}}
{{- range .Values.ingester.zones -}}{{- $zones = append $zones .name -}}{{- end -}}
{{- if ne (len $zones) (len (uniq $zones)) -}}
{{- fail (printf "ingester.zones has a name twice: %s" (join ", " $zones)) -}}
{{- end -}}
{{- if and (not $single) (lt (len $zones) (int .Values.replicationFactor)) -}}
{{- fail (printf "replicationFactor is %d, but there are %d zones in ingester.zones: copies lie in different zones" (int .Values.replicationFactor) (len $zones)) -}}
{{- end -}}
{{- with .Values.ingester.rolloutZone -}}
{{- if not (has . $zones) -}}{{- fail (printf "ingester.rolloutZone is %q, which is none of the zones %s" . (join ", " $zones)) -}}{{- end -}}
{{- end -}}
{{- range list "target" "data_dir" "http_listen" "grpc_listen" "coordinators" "instance_id" "zone" "advertise" "replication_factor" "multitenancy" "limits_overrides_file" -}}
{{- if hasKey $.Values.config . -}}{{- fail (printf "config.%s is set by the chart: use the chart's own value" .) -}}{{- end -}}
{{- end -}}
{{- if hasKey (default dict .Values.config.object_store) "url" -}}{{- fail "config.object_store.url is set by the chart: use objectStore.url" -}}{{- end -}}
{{- $timeout := int (default 30 .Values.config.shutdown_timeout_seconds) -}}
{{- $root := . -}}
{{- range $component := splitList "," (include "plimsoll.components" .) -}}
{{- $grace := int (include "plimsoll.componentValues" (dict "root" $root "component" $component) | fromYaml).terminationGracePeriodSeconds -}}
{{- if le $grace (add $timeout $root.Values.preStopSleepSeconds | int) -}}
{{- fail (printf "terminationGracePeriodSeconds of %s is %d, but must be above config.shutdown_timeout_seconds + preStopSleepSeconds, %d" $component $grace (add $timeout $root.Values.preStopSleepSeconds)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
