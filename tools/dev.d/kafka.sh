# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# A Kafka broker for the tests: the jars of Apache Kafka from Maven Central into .deps/kafka/libs.

kafka_version=4.3.1

kafka_present() {
    [ "$(cat "$deps/kafka/version" 2>/dev/null)" = "$kafka_version" ] &&
        command -v java >/dev/null
}

kafka_remedy="check that Maven reaches Maven Central (or its mirror in settings.xml), and that \
apt-get can install maven and default-jre-headless"
# shellcheck disable=SC2034
kafka_fallback="the tests of the mirror against a real Kafka broker are left out"
kafka_install() {
    if ! command -v mvn >/dev/null || ! command -v java >/dev/null; then
        packages_get maven default-jre-headless
    fi
    rm -rf "$deps/kafka/libs"
    mkdir -p "$deps/kafka"
    cat >"$deps/kafka/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>ringtape</groupId><artifactId>kafka</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>$kafka_version</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
POM
    (cd "$deps/kafka" && mvn -B -ntp -q dependency:copy-dependencies -DincludeScope=runtime \
        "-DoutputDirectory=$deps/kafka/libs")
    echo "$kafka_version" >"$deps/kafka/version"
}
