# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The verb spark: a Spark that reads what was mirrored. PySpark from the Python package index and
# its Kafka and Avro sources from Maven Central, into .deps/spark: 540 MB, so only this verb asks
# for it.

spark_version=4.2.0

spark_present() {
    [ "$(cat "$deps/spark/version" 2>/dev/null)" = "$spark_version" ]
}

# shellcheck disable=SC2034
spark_remedy="check that pip reaches the Python package index and Maven reaches Maven Central (or \
their mirrors in pip.conf and settings.xml), and that apt-get can install maven and \
default-jre-headless"
spark_install() {
    if ! command -v mvn >/dev/null || ! command -v java >/dev/null; then
        packages_get maven default-jre-headless
    fi
    mkdir -p "$deps/spark"
    rm -rf "$deps/spark/jars"
    [ -x "$deps/spark/venv/bin/pip" ] || /usr/bin/python3 -m venv --clear "$deps/spark/venv"
    "$deps/spark/venv/bin/pip" install -q "pyspark==$spark_version"
    cat >"$deps/spark/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>ringtape</groupId><artifactId>spark</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.spark</groupId><artifactId>spark-sql-kafka-0-10_2.13</artifactId>
      <version>$spark_version</version>
    </dependency>
    <dependency>
      <groupId>org.apache.spark</groupId><artifactId>spark-avro_2.13</artifactId>
      <version>$spark_version</version>
    </dependency>
  </dependencies>
</project>
POM
    # The artifacts left out come with PySpark.
    (cd "$deps/spark" && mvn -B -ntp -q dependency:copy-dependencies -DincludeScope=runtime \
        "-DoutputDirectory=$deps/spark/jars" \
        "-DexcludeGroupIds=org.apache.hadoop,org.scala-lang,org.scala-lang.modules,org.slf4j" \
        "-DexcludeArtifactIds=jsr305,lz4-java,snappy-java,spark-tags_2.13,xz")
    echo "$spark_version" >"$deps/spark/version"
}

verb_spark() {
    setup_step spark
    zig_build install >&2
    run_environment
    export RINGTAPE_SPARK=$deps/spark
    exec "$deps/venv/bin/python" -m pytest tests/spark -o 'python_files=*_test.py' \
        -o pythonpath=tests/peers -p no:cacheprovider -q -rA "$@"
}
